#include "plumbline/data/image_folder.hpp"

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>
#include <jpeglib.h>
#include <png.h>

#include "plumbline/data/files.hpp"

namespace plumbline::data {
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::make_error;

bool is_png(std::span<const std::uint8_t> b) { return b.size() >= 8 && png_sig_cmp(b.data(), 0, 8) == 0; }
bool is_jpeg(std::span<const std::uint8_t> b) { return b.size() >= 3 && b[0] == 0xff && b[1] == 0xd8 && b[2] == 0xff; }

base::Error damaged(const std::string& name, std::string_view detail) {
  return make_error(Code::kParse, fmt::format("is a damaged image ({})", detail), name,
                    "replace the file or take it out of the folder");
}

base::Status check_side(const std::string& name, std::uint64_t width, std::uint64_t height, int max_side) {
  const auto most = static_cast<std::uint64_t>(max_side);
  if (width >= 1 && height >= 1 && width <= most && height <= most) return base::ok();
  return make_error(Code::kLimit,
                    fmt::format("is {} x {} pixels, expected sides from 1 to {}", width, height, max_side), name,
                    "scale the image down first");
}

/// Interleaved rows to planes.
DecodedImage planes(const std::vector<std::uint8_t>& packed, int channels, int height, int width) {
  DecodedImage out{channels, height, width, std::vector<std::uint8_t>(packed.size())};
  const std::size_t area = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  const auto c = static_cast<std::size_t>(channels);
  for (std::size_t p = 0; p < area; ++p) {
    for (std::size_t k = 0; k < c; ++k) out.bytes[k * area + p] = packed[p * c + k];
  }
  return out;
}

base::Result<DecodedImage> decode_png(std::span<const std::uint8_t> bytes, const std::string& name, int channels,
                                      int max_side) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) == 0) return damaged(name, image.message);
  const auto bound = check_side(name, image.width, image.height, max_side);
  if (!bound.ok()) {
    png_image_free(&image);
    return bound.error();
  }
  const bool colour = channels == 0 ? (image.format & PNG_FORMAT_FLAG_COLOR) != 0 : channels == 3;
  image.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  std::vector<std::uint8_t> packed(PNG_IMAGE_SIZE(image));
  png_color black{0, 0, 0};
  if (png_image_finish_read(&image, &black, packed.data(), 0, nullptr) == 0) {
    png_image_free(&image);
    return damaged(name, image.message);
  }
  return planes(packed, colour ? 3 : 1, static_cast<int>(image.height), static_cast<int>(image.width));
}

struct JpegError {
  jpeg_error_mgr manager;
  std::jmp_buf back;
  char text[JMSG_LENGTH_MAX];
};

void jpeg_failed(j_common_ptr info) {
  auto* const error = reinterpret_cast<JpegError*>(info->err);
  (*info->err->format_message)(info, error->text);
  std::longjmp(error->back, 1);
}

void jpeg_silent(j_common_ptr) {}

/// Plain C rows with setjmp: no object with a destructor lives in here. 0 = done, 1 = damaged, 2 = too large.
int decode_jpeg_raw(const std::uint8_t* data, std::size_t size, int channels, int max_side, JpegError* error,
                    std::uint8_t* (*room)(void*, std::size_t), void* owner, int* out_channels, int* out_height,
                    int* out_width) {
  jpeg_decompress_struct info;
  info.err = jpeg_std_error(&error->manager);
  error->manager.error_exit = jpeg_failed;
  error->manager.output_message = jpeg_silent;
  if (setjmp(error->back) != 0) {
    jpeg_destroy_decompress(&info);
    return 1;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, data, static_cast<unsigned long>(size));
  jpeg_read_header(&info, TRUE);
  *out_height = static_cast<int>(info.image_height);
  *out_width = static_cast<int>(info.image_width);
  if (info.image_height < 1 || info.image_width < 1 || static_cast<int>(info.image_height) > max_side ||
      static_cast<int>(info.image_width) > max_side) {
    jpeg_destroy_decompress(&info);
    return 2;
  }
  const int wanted = channels != 0 ? channels : (info.num_components == 1 ? 1 : 3);
  info.out_color_space = wanted == 1 ? JCS_GRAYSCALE : JCS_RGB;
  info.dct_method = JDCT_ISLOW;
  jpeg_start_decompress(&info);
  *out_channels = wanted;
  const std::size_t stride = static_cast<std::size_t>(info.output_width) * static_cast<std::size_t>(wanted);
  std::uint8_t* const pixels = room(owner, stride * info.output_height);
  if (pixels == nullptr) {
    jpeg_destroy_decompress(&info);
    return 2;
  }
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = pixels + stride * info.output_scanline;
    jpeg_read_scanlines(&info, &row, 1);
  }
  const bool complete = error->manager.num_warnings == 0;
  if (!complete) (*error->manager.format_message)(reinterpret_cast<j_common_ptr>(&info), error->text);
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return complete ? 0 : 1;
}

base::Result<DecodedImage> decode_jpeg(std::span<const std::uint8_t> bytes, const std::string& name, int channels,
                                       int max_side) {
  std::vector<std::uint8_t> packed;
  const auto room = [](void* owner, std::size_t size) -> std::uint8_t* {
    try {
      auto* const buffer = static_cast<std::vector<std::uint8_t>*>(owner);
      buffer->resize(size);
      return buffer->data();
    } catch (...) {
      return nullptr;
    }
  };
  JpegError error{};
  int c = 0;
  int h = 0;
  int w = 0;
  const int status = decode_jpeg_raw(bytes.data(), bytes.size(), channels, max_side, &error, room, &packed, &c, &h, &w);
  if (status == 2)
    return check_side(name, static_cast<std::uint64_t>(w), static_cast<std::uint64_t>(h), max_side).ok()
               ? make_error(Code::kLimit, "needs more memory than the system gives", name)
               : check_side(name, static_cast<std::uint64_t>(w), static_cast<std::uint64_t>(h), max_side).error();
  if (status != 0) return damaged(name, error.text);
  return planes(packed, c, h, w);
}

/// One axis of a separable scaling: weights of the source pixels of each target pixel.
struct Tap {
  int first = 0;
  std::vector<double> weights;
};

std::vector<Tap> taps(int from, int to) {
  std::vector<Tap> out(static_cast<std::size_t>(to));
  const double scale = static_cast<double>(from) / to;
  for (int i = 0; i < to; ++i) {
    Tap& tap = out[static_cast<std::size_t>(i)];
    if (scale > 1) {  // area average
      const double low = i * scale;
      const double high = std::min((i + 1) * scale, static_cast<double>(from));
      tap.first = static_cast<int>(low);
      for (int k = tap.first; k < from && k < high; ++k)
        tap.weights.push_back((std::min<double>(k + 1, high) - std::max<double>(k, low)) / (high - low));
    } else {  // bilinear
      const double centre = std::clamp((i + 0.5) * scale - 0.5, 0.0, from - 1.0);
      tap.first = static_cast<int>(centre);
      const double part = centre - tap.first;
      tap.weights.push_back(1 - part);
      if (tap.first + 1 < from) tap.weights.push_back(part);
    }
  }
  return out;
}

std::vector<std::uint8_t> scaled(const DecodedImage& image, int height, int width) {
  if (image.height == height && image.width == width) return image.bytes;
  const auto rows = taps(image.height, height);
  const auto columns = taps(image.width, width);
  const auto w = static_cast<std::size_t>(image.width);
  std::vector<std::uint8_t> out;
  out.reserve(static_cast<std::size_t>(image.channels * height) * static_cast<std::size_t>(width));
  for (int c = 0; c < image.channels; ++c) {
    const std::uint8_t* const plane =
        image.bytes.data() + static_cast<std::size_t>(c) * static_cast<std::size_t>(image.height) * w;
    for (const Tap& row : rows) {
      for (const Tap& column : columns) {
        double sum = 0;
        for (std::size_t y = 0; y < row.weights.size(); ++y) {
          const std::uint8_t* const line =
              plane + (static_cast<std::size_t>(row.first) + y) * w + static_cast<std::size_t>(column.first);
          for (std::size_t x = 0; x < column.weights.size(); ++x) sum += row.weights[y] * column.weights[x] * line[x];
        }
        out.push_back(static_cast<std::uint8_t>(std::clamp(std::lround(sum), 0L, 255L)));
      }
    }
  }
  return out;
}

bool image_name(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg";
}

/// Visible entries in the order of their names; links must stay inside the root.
base::Result<std::vector<fs::path>> entries(const fs::path& folder, const fs::path& root, std::uint64_t most) {
  std::error_code error;
  std::vector<fs::path> out;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const fs::path path = it->path();
    if (path.filename().string().starts_with('.')) continue;
    if (it->is_symlink()) {
      std::error_code broken;
      const fs::path real = fs::canonical(path, broken);
      const auto [at, rest] = std::mismatch(root.begin(), root.end(), real.begin(), real.end());
      if (broken || at != root.end())
        return make_error(Code::kValue, "is a symbolic link that leaves the folder or leads nowhere", path.string(),
                          "copy the file into the folder");
    }
    out.push_back(path);
    if (out.size() > most)
      return make_error(Code::kLimit, fmt::format("holds more than {} entries", most), folder.string());
  }
  if (error) return make_error(Code::kIo, fmt::format("cannot be read: {}", error.message()), folder.string());
  std::sort(out.begin(), out.end());
  return out;
}

struct Listing {
  std::vector<std::pair<fs::path, int>> files;  ///< with the index of the class
  std::vector<std::string> class_names;         ///< empty when there are no sub-folders
};

base::Result<Listing> list_folder(const std::string& path, const fs::path& root, const FolderOptions& options,
                                  const ReadLimits& limits) {
  std::error_code error;
  PL_TRY(const std::vector<fs::path> top, entries(root, root, limits.rows));
  Listing out;
  std::vector<fs::path> loose;
  for (const fs::path& entry : top) {
    if (fs::is_directory(entry, error)) {
      out.class_names.push_back(entry.filename().string());
      PL_TRY(const std::vector<fs::path> inner, entries(entry, root, limits.rows));
      for (const fs::path& file : inner) {
        if (image_name(file) && fs::is_regular_file(file, error))
          out.files.emplace_back(file, static_cast<int>(out.class_names.size()) - 1);
      }
    } else if (image_name(entry) && fs::is_regular_file(entry, error)) {
      loose.push_back(entry);
    }
  }
  if (!out.files.empty() && !loose.empty()) {
    return make_error(Code::kValue,
                      fmt::format("holds images beside sub-folders, for example {}", loose.front().filename().string()),
                      path, "put every image into the sub-folder of its class, or use no sub-folders");
  }
  if (out.files.empty()) out.class_names.clear();
  for (const fs::path& file : loose) out.files.emplace_back(file, 0);
  if (out.files.empty())
    return make_error(Code::kValue, "holds no .png, .jpg or .jpeg file", path, "at least one is needed");
  if (options.limit > 0 && out.files.size() > options.limit) out.files.resize(options.limit);
  return out;
}

base::Result<fs::path> real_folder(const std::string& path) {
  std::error_code error;
  fs::path root = fs::canonical(path, error);
  if (error)
    return make_error(Code::kIo, fmt::format("cannot be read: {}", error.message()), path,
                      "Check the path; relative ones in a manifest start at its folder");
  return root;
}

base::Result<FolderImages> read_folder(const std::string& path, const FolderOptions& options,
                                       const ReadLimits& limits) {
  PL_TRY(const fs::path root, real_folder(path));
  PL_TRY(const Listing listing, list_folder(path, root, options, limits));
  const auto& files = listing.files;
  FolderImages out;
  out.class_names = listing.class_names;
  std::error_code error;

  int channels = options.channels;
  int height = options.height;
  int width = options.width;
  std::shared_ptr<std::uint8_t[]> bytes;
  std::size_t pixels = 0;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string name = files[i].first.string();
    PL_TRY(const Bytes file, map_file(name, limits));
    PL_TRY(const DecodedImage image, parse_image(file.span(), name, channels, options.max_side));
    if (i == 0) {
      channels = image.channels;
      if (height == 0) height = image.height;
      if (width == 0) width = image.width;
      pixels = static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
      if (pixels * files.size() > limits.inflated_bytes)
        return make_error(Code::kLimit,
                          fmt::format("holds {} images of {} bytes, more than {} in all", files.size(), pixels,
                                      limits.inflated_bytes),
                          path, "read fewer with `limit`, or declare a smaller `size`");
      PL_TRY(bytes, allocate_bytes(pixels * files.size(), path));
    } else if (options.height == 0 && (image.height != height || image.width != width)) {
      return make_error(
          Code::kShape,
          fmt::format("is {} x {} pixels, but the first image is {} x {}", image.height, image.width, height, width),
          name, "declare size = [height, width] to scale them all");
    }
    const std::vector<std::uint8_t> fitted = scaled(image, height, width);
    std::memcpy(bytes.get() + i * pixels, fitted.data(), pixels);
    out.files.push_back(fs::relative(files[i].first, root, error).string());
    if (!out.class_names.empty()) out.labels.push_back(files[i].second);
  }
  out.images = {files.size(), channels, height, width, std::move(bytes)};
  return out;
}

}  // namespace

base::Result<DecodedImage> parse_image(std::span<const std::uint8_t> bytes, const std::string& name, int channels,
                                       int max_side) {
  return guarded(name, [&]() -> base::Result<DecodedImage> {
    if (is_png(bytes)) return decode_png(bytes, name, channels, max_side);
    if (is_jpeg(bytes)) return decode_jpeg(bytes, name, channels, max_side);
    return make_error(Code::kParse, "is neither PNG nor JPEG", name,
                      bytes.empty() ? "the file is empty" : "convert it to PNG");
  });
}

base::Result<FolderImages> read_image_folder(const std::string& path, const FolderOptions& options,
                                             const ReadLimits& limits) {
  return guarded(path, [&] { return read_folder(path, options, limits); });
}

base::Result<FolderFacts> peek_image_folder(const std::string& path, const FolderOptions& options,
                                            const ReadLimits& limits) {
  return guarded(path, [&]() -> base::Result<FolderFacts> {
    PL_TRY(const fs::path root, real_folder(path));
    PL_TRY(const Listing listing, list_folder(path, root, options, limits));
    const std::string name = listing.files.front().first.string();
    PL_TRY(const Bytes file, map_file(name, limits));
    PL_TRY(const DecodedImage first, parse_image(file.span(), name, options.channels, options.max_side));
    return FolderFacts{listing.files.size(), listing.class_names.size(), first.channels,
                       options.height > 0 ? options.height : first.height,
                       options.width > 0 ? options.width : first.width};
  });
}

base::Status write_png(const std::string& path, std::span<const std::uint8_t> image, int channels, int height,
                       int width) {
  const std::size_t area = static_cast<std::size_t>(std::max(height, 0)) * static_cast<std::size_t>(std::max(width, 0));
  if ((channels != 1 && channels != 3) || area == 0 || image.size() != area * static_cast<std::size_t>(channels)) {
    return make_error(Code::kShape,
                      fmt::format("image has {} bytes, expected {} x {} x {} with 1 or 3 channels", image.size(),
                                  channels, height, width),
                      "write_png");
  }
  std::vector<std::uint8_t> packed(image.size());
  const auto c = static_cast<std::size_t>(channels);
  for (std::size_t p = 0; p < area; ++p) {
    for (std::size_t k = 0; k < c; ++k) packed[p * c + k] = image[k * area + p];
  }
  png_image out{};
  out.version = PNG_IMAGE_VERSION;
  out.width = static_cast<png_uint_32>(width);
  out.height = static_cast<png_uint_32>(height);
  out.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(out);
  std::string bytes(size, '\0');
  if (png_image_write_to_memory(&out, bytes.data(), &size, 0, packed.data(), 0, nullptr) == 0)
    return make_error(Code::kIo, fmt::format("cannot be encoded: {}", out.message), path);
  bytes.resize(size);
  return write_bytes(path, bytes);
}

}  // namespace plumbline::data
