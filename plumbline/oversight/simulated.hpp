#pragma once
/// A queue of questions and the people who answer, with known faults: for fixtures and tests.

#include <string>
#include <vector>

#include "plumbline/base/rng.hpp"
#include "plumbline/data/question_log.hpp"

namespace plumbline::oversight {

struct SimulatedRater {
  std::string name;
  double accuracy = 0.9;  ///< chance of the right action where it looks
  double nodding = 0;     ///< chance of accepting what is proposed without looking
  double seconds = 8;     ///< mean time of an answer, exponential
  double slowing = 1;     ///< times as slow in the second half of a shift
  double slipping = 0;    ///< accuracy lost in the second half of a shift
};

struct SimulatedQueue {
  std::vector<SimulatedRater> raters;
  double hours = 16;            ///< simulated; shifts of two hours with an hour between
  double arrivals = 0.1;        ///< questions a second, Poisson
  double wait = 120;            ///< seconds until a question's deadline
  std::size_t gold_every = 5;   ///< of a rater's leases; 0 = never
  std::size_t gold_pool = 400;  ///< different gold questions
  double wrong = 0.5;           ///< share of proposals of gold questions that are wrong; 0.2 of the others are
  bool in_order = true;         ///< else questions are taken at random
  double overrunning = 0;       ///< chance that a decision is made after its deadline
};

/// The log that such a queue leaves. Three actions; kinds alike often; approvals need two people. Priorities and
/// expectations of attention are those of the guard's queue.
std::vector<data::QuestionRecord> simulate_queue(const SimulatedQueue& queue, base::Rng& rng);

}  // namespace plumbline::oversight
