#pragma once
/// Loops over a fixed number of tasks, and sums whose bits do not depend on the number of threads.

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"

namespace plumbline::base {

/// Upper bound on threads for the calling process; 0 = all hardware threads. Call once, at start.
void set_threads(int threads);
int threads();

/// Calls body(i) for i in [0, count), concurrently. The body must not throw and must write only to its own slot.
/// The first error (by index) is returned; `cancel` is polled between tasks and yields kCancelled.
Status parallel_for(std::size_t count, const std::function<Status(std::size_t)>& body, const CancelToken& cancel = {});

/// Sum of n terms in a fixed order: blocks of 1024 added left to right, then the block sums added pairwise.
/// The same bits for any thread count and any address. Error at most about (1024 + log2(n / 1024)) eps sum |x|.
double ordered_sum(std::span<const double> values);
double ordered_sum(std::span<const float> values);
/// Sum of term(i) for i in [0, count), same order, computed block by block in parallel. `term` must be pure.
double ordered_sum(std::size_t count, const std::function<double(std::size_t)>& term);
/// ordered_sum / n. Precondition: not empty.
double ordered_mean(std::span<const double> values);

}  // namespace plumbline::base
