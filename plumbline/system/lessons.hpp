#pragma once
/// Whose decisions made what a part learns from.

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/system/contrast.hpp"
#include "plumbline/system/trace.hpp"

namespace plumbline::system {

struct Teaching {
  std::size_t component = 0;
  std::string signal;               ///< that it learns from
  std::vector<std::size_t> makers;  ///< other parts whose outputs reach it
  std::optional<Bounded>
      share;  ///< of its variance that the outputs of others and of itself explain beside what comes from outside
};

/// Question  how much of what each part learns from was made by decisions, its own or those of others?
/// Formula   of a lesson that a part which chooses writes: all of it; of one that the world writes: R^2 of its
/// regression on
///           the outputs of parts that choose and on what comes from outside, less R^2 on what comes from outside
///           alone; bounds by a jackknife over at most 40 groups of clusters.
/// Returns   one entry a part and lesson; `share` empty, with a note, where it cannot be measured; without bounds where
/// the
///           graph decides it.
/// Errors    kCancelled.
/// Assumes   clusters of rows are independent; a linear relation (what is not linear is missed).
base::Result<std::vector<Teaching>> find_lessons(const SystemGraph& graph, const Trace& trace,
                                                 std::vector<std::string>& notes, const base::CancelToken& cancel);

}  // namespace plumbline::system
