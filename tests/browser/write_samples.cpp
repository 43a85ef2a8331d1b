// Writes the sample reports to a folder: plumbline_write_samples DIR

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include <fmt/core.h>

#include "plumbline/case/report/html.hpp"
#include "tests/browser/sample_report.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: plumbline_write_samples DIR\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  const std::pair<const char*, plumbline::report::Report> samples[] = {{"failing", plumbline::sample::failing()},
                                                                       {"clean", plumbline::sample::clean()},
                                                                       {"hostile", plumbline::sample::hostile()},
                                                                       {"huge", plumbline::sample::huge()},
                                                                       {"empty", plumbline::sample::empty()}};
  for (const auto& [name, report] : samples) {
    const std::string page = plumbline::report::render_html(report);
    std::ofstream file(folder / (std::string(name) + ".html"), std::ios::binary);
    file << page;
    if (!file) return 1;
    fmt::print("{} {}\n", name, page.size());
  }
  return 0;
}
