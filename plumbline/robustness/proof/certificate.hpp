#pragma once
/// The proof that a property holds, as data: trees of splits with slopes and multipliers at their leaves. Format and
/// soundness: docs/developer/robustness-proof.md. What is here is shared by search and checker; it contains no bound.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plumbline/base/progress.hpp"
#include "plumbline/base/result.hpp"
#include "plumbline/robustness/proof/network.hpp"
#include "plumbline/robustness/proof/vnnlib.hpp"

namespace plumbline::robustness {

/// Shares in [0, 1] of all hinges, step after step; empty: the default (1 where u > -l max(1, -leak), else 0).
using Shares = std::vector<float>;

struct CertificateTable {
  struct Entry {
    std::uint32_t step = 0;  ///< of an activation
    std::vector<std::uint32_t> neurons;
    std::vector<std::int8_t> sides;  ///< 1: lower bound of the neuron's input, -1: upper
    std::vector<float> shares;       ///< one row an entry: hinges of earlier steps
  };
  std::vector<Entry> entries;
};

struct CertificateNode {
  enum class Kind : std::uint8_t { kLeaf = 0, kInput = 1, kActivation = 2 };
  Kind kind = Kind::kLeaf;
  std::uint32_t index = 0;   ///< input, or step of the activation
  std::uint32_t neuron = 0;  ///< of an activation split
  double threshold = 0;      ///< of an input split
};

/// For each case of the tree, the atom that cannot be true.
struct CertificateLeaf {
  std::vector<std::uint32_t> atoms;
  Shares shares;
  std::vector<float> multipliers;  ///< one an activation split on the way, from the root; empty: all zero
  /// For each case one multiplier (at least 0) an atom: that often it is added to the refuted atom. All atoms of a case
  /// hold at an unsafe point, so their sum does. Empty: all zero.
  std::vector<float> cuts;
};

/// Proves `cases`, which share a box. Nodes in preorder: low or negative side first.
struct CertificateTree {
  std::vector<std::uint32_t> cases;
  std::int32_t table = -1;  ///< slopes of the root's bounds; -1: default
  std::vector<CertificateNode> nodes;
  std::vector<CertificateLeaf> leaves;
};

struct Certificate {
  std::string model;  ///< SHA-256 of the files
  std::string property;
  std::vector<CertificateTable> tables;
  std::vector<CertificateTree> trees;

  std::size_t leaves() const;
  std::uint64_t bytes() const;  ///< as written
};

/// Errors kIo.
base::Status write_certificate(const Certificate& certificate, const std::string& path);
std::string certificate_bytes(const Certificate& certificate);
/// Errors kIo; kParse: another file, truncated, counts that the file cannot hold, bytes left over. kLimit: over 1 GiB.
base::Result<Certificate> read_certificate(const std::string& path);
base::Result<Certificate> parse_certificate(std::string_view bytes, const std::string& name);

/// What the checker says.
struct CheckOutcome {
  bool valid = false;
  std::string reason;      ///< why not, naming the tree and the leaf
  std::size_t leaves = 0;  ///< that were replayed
  double least = 0;        ///< the least bound of a refuted inequality: the margin of the proof
};

/// Question: does this certificate prove that no case of the property is true of the network?
/// Formula:  every leaf anew: intervals, linear bounds by the certificate's slopes, the refuted inequality above zero;
/// all
///           rounded upward (lower bounds as negatives).
/// Returns   valid only if every case is proved. Never an error for a wrong certificate.
/// Assumes   the network and the property are those that are asked about. No code in common with the search.
/// Errors    kShape: sizes of property and network. kCancelled.
/// Cost      about three times the search's work at its leaves; leaves in parallel. Deterministic.
base::Result<CheckOutcome> check_certificate(const Network& network, const Property& property,
                                             const Certificate& certificate, const base::CancelToken& cancel = {});

/// The same in exact arithmetic: coefficients, offsets and the refuted inequality are dyadic rationals (GMP) that
/// nothing rounds; ranges of the steps are rounded outward to doubles, which only makes a region larger. Returns   as
/// check_certificate(). Errors    as check_certificate(); kUnsupported: a network that is not piecewise linear with
/// exact weights. Cost      exact_work() multiply-adds of about 0.1 us; leaves in parallel. Deterministic.
base::Result<CheckOutcome> check_certificate_exactly(const Network& network, const Property& property,
                                                     const Certificate& certificate,
                                                     const base::CancelToken& cancel = {});
/// Leaves x multiply-adds of replaying one, at most.
double exact_work(const Network& network, const Certificate& certificate);

}  // namespace plumbline::robustness
