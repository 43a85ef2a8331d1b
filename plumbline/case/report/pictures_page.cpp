#include "plumbline/case/report/pictures_page.hpp"

#include "plumbline/case/report/html.hpp"
#include "plumbline/case/report/page.hpp"

namespace plumbline::report {
namespace {

class Writer : private PageWriter {
 public:
  Writer(const PicturesPage& page, const PictureLimits& limits) : PageWriter(limits), page_(page) {}

  std::string render() {
    head(text(page_.title));
    top("Skip to the answer", page_.title);
    out_ +=
        R"(<div class="layout"><nav class="contents" aria-label="Contents"><ul><li><a href="#answer">The answer</a></li>)";
    for (std::size_t i = 0; i < page_.sections.size(); ++i) {
      add(R"(<li><a href="#part-{}">{}</a></li>)", i, text(page_.sections[i].title));
    }
    out_ += R"(</ul></nav><main id="main" tabindex="-1">)";
    add(R"(<section id="answer" aria-labelledby="answer-title"><h1 id="answer-title">{}</h1><div class="card answer"><p class="say">{}</p>)",
        text(page_.title), text(page_.answer));
    for (const std::string& paragraph : page_.lead) add("<p>{}</p>", text(paragraph));
    out_ += "</div></section>";
    for (std::size_t i = 0; i < page_.sections.size(); ++i) {
      const PicturesSection& section = page_.sections[i];
      add(R"(<section id="part-{0}" aria-labelledby="part-title-{0}"><h2 id="part-title-{0}">{1}</h2><article class="check card">)",
          i, text(section.title));
      for (const std::string& paragraph : section.text) add("<p>{}</p>", text(paragraph));
      out_ += R"(<div class="figures">)";
      for (const check::Artifact& artifact : section.artifacts) picture(artifact);
      out_ += "</div></article></section>";
    }
    out_ += "</main></div>";
    foot(page_.build);
    return std::move(out_);
  }

 private:
  const PicturesPage& page_;
};

}  // namespace

std::string render_pictures(const PicturesPage& page) {
  PictureLimits limits;
  std::string text = Writer(page, limits).render();
  while (text.size() > kHtmlBytes && limits.artifact_bytes > 0) {
    limits.artifact_bytes /= 2;
    text = Writer(page, limits).render();
  }
  return text;
}

}  // namespace plumbline::report
