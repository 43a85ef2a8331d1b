#include "plumbline/checks/robustness/attack_report.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "plumbline/checks/classified.hpp"
#include "plumbline/checks/pictures.hpp"
#include "plumbline/data/dataset.hpp"

namespace plumbline::checks {

namespace method = plumbline::robustness;

check::Artifact ledger_table(const std::vector<method::LedgerLine>& lines, const std::vector<method::Attack>& attacks) {
  std::vector<std::string> names, kinds, settings;
  std::vector<double> tried, found, best, queries, gradients;
  for (std::size_t a = 0; a < lines.size(); ++a) {
    names.push_back(lines[a].attack);
    kinds.emplace_back(method::attack_kind_name(attacks[a].kind));
    settings.push_back(attacks[a].settings);
    tried.push_back(static_cast<double>(lines[a].tried));
    found.push_back(static_cast<double>(lines[a].found));
    best.push_back(static_cast<double>(lines[a].first));
    queries.push_back(static_cast<double>(lines[a].queries));
    gradients.push_back(static_cast<double>(lines[a].gradients));
  }
  check::Artifact out;
  out.id = "ledger";
  out.kind = "table";
  out.title = "What each attack tried, found and spent";
  out.caption =
      "In the order in which they ran: later attacks see the rows that still stood, save those for the smallest "
      "perturbation, which see all.";
  out.columns = {{"attack", "", names},        {"sees", "", kinds},       {"rows", "", tried},
                 {"found", "", found},         {"smallest", "", best},    {"queries", "", queries},
                 {"gradients", "", gradients}, {"settings", "", settings}};
  return out;
}

check::Artifact budget_picture(const std::vector<method::ExampleRecord>& records) {
  std::vector<double> x, y;
  for (const method::BudgetPoint& point : method::budget_curve(records)) {
    x.push_back(static_cast<double>(point.passes));
    y.push_back(point.share);
  }
  check::Artifact out;
  out.id = "success-against-budget";
  out.kind = "curve";
  out.title = "Rows turned against what they cost";
  out.caption =
      "Forward and backward passes spent on a row until it fell, all attacks in order; a curve that still rises at "
      "its end says that the attacks were stopped too early.";
  out.columns = {{"x", "passes", x}, {"y", "share", y}};
  out.facts = {{"x_label", "passes for a row"}, {"y_label", "share of right rows turned"}, {"step", "true"}};
  return out;
}

check::Finding fallen_rows(const std::vector<method::ExampleRecord>& records, const AttackedRows& rows,
                           const std::string& data, const std::string& threat, double epsilon, double clean,
                           double robust) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].clean() && records[i].size <= epsilon) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return records[a].size < records[b].size; });
  check::Finding finding;
  finding.id = "fallen";
  finding.severity = robust < 0.5 * clean ? check::FindingSeverity::kMajor : check::FindingSeverity::kMedium;
  finding.title =
      fmt::format("{} takes accuracy on {} from {} to {}", threat, data, short_number(clean), short_number(robust));
  finding.detail = fmt::format(
      "{} of {} rows are turned; the smallest perturbation has size {} (row {}, by {}). Each was asked of the model "
      "itself.",
      order.size(), records.size(), short_number(records[order[0]].size), rows.rows[order[0]], records[order[0]].by);
  finding.next_step =
      "Train against this threat (adversarial training at this norm and epsilon), or state a smaller epsilon that the "
      "use of the model justifies.";
  finding.data = data;
  for (const std::size_t i : order) {
    if (finding.rows.size() < 100) finding.rows.push_back(rows.rows[i]);
  }
  return finding;
}

base::Result<std::optional<check::Artifact>> attacked_gallery(check::Context& context, const AttackedModel& model,
                                                              const AttackedRows& drawn, const method::Threat& threat,
                                                              const std::vector<method::ExampleRecord>& records) {
  const std::string& data = context.task().data;
  const std::string policy = context.examples_policy(data);
  PL_TRY(const data::DatasetPtr set, context.dataset(data));
  if (policy == "none" || set->kind != data::Dataset::Kind::kImages) return std::optional<check::Artifact>();
  const data::Images& images = set->images;
  const method::ImageShape& shape = model.shape;
  std::vector<std::vector<std::uint8_t>> pixels;
  std::vector<Tile> tiles;
  pixels.reserve(records.size());
  for (std::size_t i = 0; i < records.size() && pixels.size() < 16; ++i) {
    if (!records[i].clean() || records[i].size > threat.epsilon) continue;
    std::vector<std::uint8_t> bytes;
    for (std::size_t c = 0; c < shape.channels; ++c) {
      for (std::size_t y = 0; y < shape.height; ++y) {
        for (std::size_t x = 0; x < shape.width; ++x) {
          const std::size_t j = shape.at(c, y, x);
          const double share = (records[i].x[j] - threat.low[j]) / (threat.high[j] - threat.low[j]);
          bytes.push_back(static_cast<std::uint8_t>(std::lround(255 * std::clamp(share, 0.0, 1.0))));
        }
      }
    }
    pixels.push_back(std::move(bytes));
    const std::string number = fmt::format("row {}", drawn.rows[i]);
    const auto row = static_cast<double>(drawn.rows[i]);
    tiles.push_back({images.image(drawn.rows[i]), number + " as it stands", row, number});
    tiles.push_back({pixels.back(), fmt::format("turned by {}, size {}", records[i].by, short_number(records[i].size)),
                     row, number});
  }
  if (tiles.empty()) return std::optional<check::Artifact>();
  return std::optional(gallery("turned", fmt::format("Images of {} before and after the attack", data),
                               "In pairs: the image, and the smallest change found that gives it another class.", tiles,
                               images.channels, images.height, images.width, policy));
}

}  // namespace plumbline::checks
