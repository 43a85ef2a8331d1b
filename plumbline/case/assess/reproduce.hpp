#pragma once
/// A piece of stored evidence, computed again from the same manifest, and compared.

#include "plumbline/case/assess/assess.hpp"

namespace plumbline::assess {

struct Reproduction {
  bool same = false;
  std::string difference;  ///< the first differing quantity and its size; empty when the same
  check::Evidence before;
  check::Evidence after;
};

/// Errors kValue: no such evidence; the manifest no longer yields it. kIo: the manifest is gone.
base::Result<Reproduction> reproduce(const check::Registry& registry, run::Store& store, const std::string& evidence,
                                     const ExecutorMaker& executor, const data::ManifestOptions& options,
                                     bool with_torch, const base::CancelToken& cancel, base::Progress& progress);

}  // namespace plumbline::assess
