#pragma once
/// The stores that are shown, as one thread sees them, and the runs that were opened last.

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "plumbline/case/view/stored_run.hpp"

namespace plumbline::dashboard {

struct StoreFile {
  std::string name;  ///< shown; each is another
  std::string path;
};

/// Names for paths: the folder that holds .plumbline/store.db, else the file; a second of the same name gets a number.
std::vector<StoreFile> named_stores(const std::vector<std::string>& paths);

/// Connections of one thread. A file that was replaced is opened anew.
class Shelf {
 public:
  explicit Shelf(std::vector<StoreFile> files);
  std::size_t size() const { return slots_.size(); }
  const StoreFile& file(std::size_t i) const { return slots_[i].file; }
  /// Errors "store" in `where`.
  base::Result<run::Store*> store(std::size_t i);

 private:
  struct Slot {
    StoreFile file;
    std::unique_ptr<run::Store> store{};
    std::uint64_t device = 0, inode = 0;
  };
  std::vector<Slot> slots_;
};

/// A run as it is shown, with its renderings made when first asked for.
class ShownRun {
 public:
  ShownRun(view::StoredRun run, std::string store) : run_(std::move(run)), store_(std::move(store)) {}
  const view::StoredRun& run() const { return run_; }
  const std::string& store() const { return store_; }  ///< path
  const std::string& json() const;
  const std::string& page() const;
  /// By content hash or by the name of its file in the report's folder; null: there is none.
  const check::Artifact* artifact(const std::string& key) const;

 private:
  view::StoredRun run_;
  std::string store_;
  mutable std::once_flag json_once_, page_once_, artifacts_once_;
  mutable std::string json_, page_;
  mutable std::map<std::string, const check::Artifact*> artifacts_;
};

/// The runs opened last. A closed run never changes; how it is judged changes with its manifest and with the day, and
/// it is then opened anew. Safe from several threads.
class RecentRuns {
 public:
  RecentRuns(const check::Registry& registry, data::ManifestOptions reading)
      : registry_(registry), reading_(std::move(reading)) {}
  /// A run of any store by id, unique prefix, name, or "latest". Errors "not_found", "store" in `where`.
  base::Result<std::shared_ptr<const ShownRun>> open(Shelf& shelf, const std::string& reference);

 private:
  struct Entry {
    std::string id;
    std::string stamp;
    std::shared_ptr<const ShownRun> run;
  };
  std::shared_ptr<const ShownRun> kept(const std::string& id);

  const check::Registry& registry_;
  data::ManifestOptions reading_;
  std::mutex mutex_;
  std::list<Entry> entries_;  ///< the last used first
};

}  // namespace plumbline::dashboard
