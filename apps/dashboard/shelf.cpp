#include "apps/dashboard/shelf.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <sys/stat.h>

#include "apps/http/body.hpp"
#include "plumbline/case/interface/json.hpp"
#include "plumbline/case/report/html.hpp"
#include "plumbline/case/run/runner.hpp"

namespace plumbline::dashboard {
namespace {

constexpr std::size_t kKept = 6;

/// What a judged run depends on beside the store: the manifest's file and the day.
std::string stamp_of(const check::RunRecord& run, const std::string& store) {
  struct stat facts {};
  const std::string manifest = assess::find_manifest(run, store);
  if (::stat(manifest.c_str(), &facts) != 0) return run::utc_now().substr(0, 10) + " gone";
  return fmt::format("{} {} {}.{} {} {}", run::utc_now().substr(0, 10), facts.st_ino, facts.st_mtim.tv_sec,
                     facts.st_mtim.tv_nsec, facts.st_size, manifest);
}

}  // namespace

std::vector<StoreFile> named_stores(const std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  std::vector<StoreFile> files;
  for (const std::string& path : paths) {
    std::error_code ignored;
    const fs::path whole = fs::weakly_canonical(path, ignored);
    std::string name = whole.parent_path().filename() == ".plumbline"
                           ? whole.parent_path().parent_path().filename().string()
                           : whole.filename().string();
    if (name.empty()) name = "store";
    const auto taken = [&](const std::string& n) {
      return std::any_of(files.begin(), files.end(), [&](const StoreFile& f) { return f.name == n; });
    };
    std::string free = name;
    for (int i = 2; taken(free); ++i) free = fmt::format("{}-{}", name, i);
    files.push_back({free, path});
  }
  return files;
}

Shelf::Shelf(std::vector<StoreFile> files) {
  for (StoreFile& file : files) slots_.push_back({std::move(file)});
}

base::Result<run::Store*> Shelf::store(std::size_t i) {
  Slot& slot = slots_[i];
  struct stat facts {};
  const bool there = ::stat(slot.file.path.c_str(), &facts) == 0;
  const bool same = there && slot.device == facts.st_dev && slot.inode == facts.st_ino;
  if (!slot.store || !same) {
    slot.store.reset();
    auto opened = run::open_sqlite_store_to_read(slot.file.path);
    if (!opened.ok()) return http::refusal("store", opened.error().text());
    slot.store = std::move(opened).value();
    slot.device = facts.st_dev;
    slot.inode = facts.st_ino;
  }
  return slot.store.get();
}

const std::string& ShownRun::json() const {
  std::call_once(json_once_, [this] { json_ = view::evidence_json(run_); });
  return json_;
}

const std::string& ShownRun::page() const {
  std::call_once(page_once_, [this] { page_ = report::render_html(run_.report); });
  return page_;
}

const check::Artifact* ShownRun::artifact(const std::string& key) const {
  std::call_once(artifacts_once_, [this] {
    for (const check::Artifact& a : run_.report.run.artifacts) {
      artifacts_.emplace(check::artifact_sha256(a), &a);
      artifacts_.emplace(std::filesystem::path(report::artifact_path(a)).filename().string(), &a);
    }
  });
  const auto found = artifacts_.find(key);
  return found == artifacts_.end() ? nullptr : found->second;
}

std::shared_ptr<const ShownRun> RecentRuns::kept(const std::string& id) {
  const std::lock_guard lock(mutex_);
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->id != id) continue;
    if (entry->stamp != stamp_of(entry->run->run().report.run, entry->run->store())) {
      entries_.erase(entry);
      return nullptr;
    }
    entries_.splice(entries_.begin(), entries_, entry);
    return entries_.front().run;
  }
  return nullptr;
}

base::Result<std::shared_ptr<const ShownRun>> RecentRuns::open(Shelf& shelf, const std::string& reference) {
  if (auto run = kept(reference)) return run;
  base::Error last = http::refusal("not_found", "no store is shown");
  for (std::size_t i = 0; i < shelf.size(); ++i) {
    PL_TRY(run::Store* const store, shelf.store(i));
    auto opened = view::open_run(registry_, *store, reference, reading_);
    if (!opened.ok()) {
      last = http::refusal(opened.error().code == base::Code::kValue ? "not_found" : "store", opened.error().message,
                           opened.error().hint);
      continue;
    }
    auto run = std::make_shared<const ShownRun>(std::move(opened).value(), store->place());
    const check::RunRecord& record = run->run().report.run;
    if (record.status != check::RunStatus::kStarted) {
      const std::lock_guard lock(mutex_);
      entries_.push_front({record.id, stamp_of(record, run->store()), run});
      if (entries_.size() > kKept) entries_.pop_back();
    }
    return run;
  }
  return last;
}

}  // namespace plumbline::dashboard
