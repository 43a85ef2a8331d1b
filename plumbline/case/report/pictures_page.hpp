#pragma once
/// A page of pictures with a lead: what the command line writes beside its JSON where there is no case.

#include <string>
#include <vector>

#include "plumbline/case/interface/evidence.hpp"

namespace plumbline::report {

struct PicturesSection {
  std::string title;
  std::vector<std::string> text;  ///< paragraphs
  std::vector<check::Artifact> artifacts;
};

struct PicturesPage {
  std::string title;              ///< "The gauntlet"
  std::string answer;             ///< the first screen's sentence
  std::vector<std::string> lead;  ///< paragraphs below it
  std::vector<PicturesSection> sections;
  std::string build;
};

/// One HTML file with everything in it, under 5 MB. All text is escaped.
std::string render_pictures(const PicturesPage& page);

}  // namespace plumbline::report
