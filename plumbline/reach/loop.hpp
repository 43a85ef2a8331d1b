#pragma once
/// A control loop as its system file says: states, dynamics, a network that is asked once a period, what is claimed.
/// The format: docs/user/reach.md.

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/reach/expression.hpp"
#include "plumbline/robustness/proof/network.hpp"

namespace plumbline::reach {

/// A state or an unknown constant with the box in which it starts.
struct Variable {
  std::string name;
  std::string unit;
  Interval initial;
};

/// kAlways: every condition at every time of the window. kNever: at no time of the window all of them together.
/// kFinally: every condition at the end. kEventually: at some time of the window all of them together.
enum class Quantifier { kAlways, kNever, kFinally, kEventually };

struct LoopProperty {
  Quantifier quantifier = Quantifier::kAlways;
  Conditions conditions;  ///< over the variables
  int from = 0;           ///< first and last period end of the window
  int to = 0;
  std::string text;
};

/// Which outputs of the network the loop uses: all as numbers, or the index (from 1) of the greatest or the least.
enum class Reading { kNumbers, kArgmax, kArgmin };

struct Loop {
  std::string name;
  bool discrete = false;
  double period = 0;
  int periods = 0;
  std::vector<Variable> variables;  ///< states, then parameters
  std::size_t states = 0;
  std::vector<std::string> controls;
  std::vector<std::shared_ptr<const robustness::Network>> networks;
  Program select;  ///< variables to the index of the network, from 1; no outputs: there is one network
  Program inputs;  ///< variables to the network's inputs
  Reading reading = Reading::kNumbers;
  Program outputs;   ///< network outputs to controls; of kArgmax and kArgmin: none, the one control is the index
  Program dynamics;  ///< variables and controls to derivatives, or next values, of the states
  std::vector<LoopProperty> properties;
  std::string plot_x, plot_y;  ///< names of variables for the plane of the picture; may be empty
  std::vector<std::string> files;

  std::size_t width() const { return variables.size(); }
};

struct LoopOptions {
  /// Replaces the initial range of a variable.
  std::map<std::string, Interval> initial;
  /// Folders by name, for networks written as "name:path"; PLUMBLINE_DATA stands for the root named data.
  std::map<std::string, std::string> roots;
};

/// Reads a system file and the networks that it names (paths relative to it, which may leave its folder only through
/// a root).
/// Errors  kIo. kParse: not TOML, a formula that is not one. kValue: unknown key, variable or unit; a missing section;
/// a
///         box that is empty or not finite; sizes of network and formulas that differ. kUnsupported: unknown function;
///         a function without derivatives in a differential equation; an operator of the network. Each names the file
///         and line.
base::Result<Loop> read_loop(const std::string& path, const LoopOptions& options = {});
/// The same from memory; networks are looked for in `folder`, or not opened at all when `folder` is empty (then sizes
/// are not compared and networks are null).
base::Result<Loop> parse_loop(std::string_view text, const std::string& path, const std::string& folder,
                              const LoopOptions& options = {});

/// Units that may stand in a system file, for messages and the documentation.
const std::vector<std::string>& unit_names();

std::string_view quantifier_name(Quantifier quantifier);

}  // namespace plumbline::reach
