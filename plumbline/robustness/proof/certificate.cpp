#include "plumbline/robustness/proof/certificate.hpp"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <fstream>
#include <type_traits>

#include "plumbline/data/bytes.hpp"

namespace plumbline::robustness {

static_assert(std::endian::native == std::endian::little, "certificates are little endian");

namespace {

using base::Code;
using base::make_error;

constexpr std::string_view kMagic = "PLCERT2\n";
constexpr std::string_view kWithoutCuts = "PLCERT1\n";  ///< the version before, still read
constexpr std::uint64_t kBytes = std::uint64_t{1} << 30U;

/// Counts bytes, or writes them.
class Writer {
 public:
  explicit Writer(std::string* out) : out_(out) {}
  void raw(const void* data, std::size_t size) {
    bytes_ += size;
    if (out_ != nullptr) out_->append(static_cast<const char*>(data), size);
  }
  template <class T>
  void number(T value) {
    static_assert(std::is_arithmetic_v<T>);
    raw(&value, sizeof value);
  }
  template <class T>
  void list(const std::vector<T>& values) {
    number(static_cast<std::uint32_t>(values.size()));
    raw(values.data(), values.size() * sizeof(T));
  }
  void text(const std::string& value) {
    number(static_cast<std::uint32_t>(value.size()));
    raw(value.data(), value.size());
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::string* out_;
  std::uint64_t bytes_ = 0;
};

void write(const Certificate& c, Writer& w) {
  w.raw(kMagic.data(), kMagic.size());
  w.text(c.model);
  w.text(c.property);
  w.number(static_cast<std::uint32_t>(c.tables.size()));
  for (const CertificateTable& table : c.tables) {
    w.number(static_cast<std::uint32_t>(table.entries.size()));
    for (const CertificateTable::Entry& entry : table.entries) {
      w.number(entry.step);
      w.list(entry.neurons);
      w.list(entry.sides);
      w.list(entry.shares);
    }
  }
  w.number(static_cast<std::uint32_t>(c.trees.size()));
  for (const CertificateTree& tree : c.trees) {
    w.list(tree.cases);
    w.number(tree.table);
    w.number(static_cast<std::uint32_t>(tree.nodes.size()));
    std::size_t leaf = 0;
    for (const CertificateNode& node : tree.nodes) {
      w.number(static_cast<std::uint8_t>(node.kind));
      switch (node.kind) {
        case CertificateNode::Kind::kInput:
          w.number(node.index);
          w.number(node.threshold);
          break;
        case CertificateNode::Kind::kActivation:
          w.number(node.index);
          w.number(node.neuron);
          break;
        case CertificateNode::Kind::kLeaf: {
          base::ensure(leaf < tree.leaves.size(), "a certificate has fewer leaves than its tree");
          const CertificateLeaf& own = tree.leaves[leaf++];
          w.list(own.atoms);
          w.list(own.shares);
          w.list(own.multipliers);
          w.list(own.cuts);
          break;
        }
      }
    }
  }
}

class Reader {
 public:
  Reader(std::string_view bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  base::Error bad(const std::string& what) const {
    return make_error(Code::kParse, fmt::format("{} at byte {}", what, at_), name_);
  }
  base::Status raw(void* out, std::size_t size) {
    if (size > bytes_.size() - at_) return bad("the certificate ends too early");
    if (size > 0) std::memcpy(out, bytes_.data() + at_, size);
    at_ += size;
    return base::ok();
  }
  template <class T>
  base::Result<T> number() {
    T value{};
    PL_CHECK(raw(&value, sizeof value));
    return value;
  }
  /// A number of things that take at least `least` bytes each.
  base::Result<std::size_t> count(std::size_t least) {
    PL_TRY(const auto size, number<std::uint32_t>());
    if (size > (bytes_.size() - at_) / least) return bad(fmt::format("{} entries are promised", size));
    return static_cast<std::size_t>(size);
  }
  template <class T>
  base::Result<std::vector<T>> list() {
    PL_TRY(const std::size_t size, count(sizeof(T)));
    std::vector<T> values(size);
    PL_CHECK(raw(values.data(), size * sizeof(T)));
    return values;
  }
  base::Result<std::string> text() {
    PL_TRY(const std::size_t size, count(1));
    std::string value(size, '\0');
    PL_CHECK(raw(value.data(), size));
    return value;
  }
  bool at_end() const { return at_ == bytes_.size(); }

 private:
  std::string_view bytes_;
  const std::string& name_;
  std::size_t at_ = 0;
};

base::Result<CertificateTree> read_tree(Reader& r, bool cuts) {
  CertificateTree tree;
  PL_TRY(tree.cases, r.list<std::uint32_t>());
  PL_TRY(tree.table, r.number<std::int32_t>());
  PL_TRY(const std::size_t nodes, r.count(1));
  for (std::size_t i = 0; i < nodes; ++i) {
    PL_TRY(const auto kind, r.number<std::uint8_t>());
    if (kind > 2) return r.bad(fmt::format("a node of kind {}", kind));
    CertificateNode node;
    node.kind = static_cast<CertificateNode::Kind>(kind);
    if (node.kind == CertificateNode::Kind::kLeaf) {
      CertificateLeaf leaf;
      PL_TRY(leaf.atoms, r.list<std::uint32_t>());
      PL_TRY(leaf.shares, r.list<float>());
      PL_TRY(leaf.multipliers, r.list<float>());
      if (cuts) {
        PL_TRY(leaf.cuts, r.list<float>());
      }
      tree.leaves.push_back(std::move(leaf));
    } else {
      PL_TRY(node.index, r.number<std::uint32_t>());
      if (node.kind == CertificateNode::Kind::kInput) {
        PL_TRY(node.threshold, r.number<double>());
      } else {
        PL_TRY(node.neuron, r.number<std::uint32_t>());
      }
    }
    tree.nodes.push_back(node);
  }
  return tree;
}

}  // namespace

std::size_t Certificate::leaves() const {
  std::size_t count = 0;
  for (const CertificateTree& tree : trees) count += tree.leaves.size();
  return count;
}

std::uint64_t Certificate::bytes() const {
  Writer writer(nullptr);
  write(*this, writer);
  return writer.bytes();
}

std::string certificate_bytes(const Certificate& certificate) {
  std::string out;
  Writer writer(&out);
  write(certificate, writer);
  return out;
}

base::Status write_certificate(const Certificate& certificate, const std::string& path) {
  const std::string bytes = certificate_bytes(certificate);
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) return make_error(Code::kIo, "cannot be written", path, "Check that the folder is writable");
  return base::ok();
}

base::Result<Certificate> parse_certificate(std::string_view bytes, const std::string& name) {
  if (bytes.size() > kBytes) return make_error(Code::kLimit, "is larger than 1 GiB", name);
  return data::guarded(name, [&]() -> base::Result<Certificate> {
    Reader r(bytes, name);
    std::string magic(kMagic.size(), '\0');
    if (!r.raw(magic.data(), magic.size()).ok() || (magic != kMagic && magic != kWithoutCuts))
      return make_error(Code::kParse, "is not a certificate of this version", name);
    Certificate c;
    PL_TRY(c.model, r.text());
    PL_TRY(c.property, r.text());
    PL_TRY(const std::size_t tables, r.count(4));
    for (std::size_t t = 0; t < tables; ++t) {
      CertificateTable table;
      PL_TRY(const std::size_t entries, r.count(16));
      for (std::size_t e = 0; e < entries; ++e) {
        CertificateTable::Entry entry;
        PL_TRY(entry.step, r.number<std::uint32_t>());
        PL_TRY(entry.neurons, r.list<std::uint32_t>());
        PL_TRY(entry.sides, r.list<std::int8_t>());
        PL_TRY(entry.shares, r.list<float>());
        table.entries.push_back(std::move(entry));
      }
      c.tables.push_back(std::move(table));
    }
    PL_TRY(const std::size_t trees, r.count(12));
    for (std::size_t t = 0; t < trees; ++t) {
      PL_TRY(CertificateTree tree, read_tree(r, magic == kMagic));
      c.trees.push_back(std::move(tree));
    }
    if (!r.at_end()) return r.bad("bytes are left over");
    return c;
  });
}

base::Result<Certificate> read_certificate(const std::string& path) {
  data::ReadLimits limits;
  limits.file_bytes = kBytes;
  PL_TRY(const data::Bytes bytes, data::map_file(path, limits));
  return parse_certificate({reinterpret_cast<const char*>(bytes.data.get()), bytes.size}, path);
}

}  // namespace plumbline::robustness
