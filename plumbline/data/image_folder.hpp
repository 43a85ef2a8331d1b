#pragma once
/// Folders of PNG and JPEG files; sub-folders are classes.

#include <span>
#include <string>
#include <vector>

#include "plumbline/base/result.hpp"
#include "plumbline/data/bytes.hpp"
#include "plumbline/data/dataset.hpp"

namespace plumbline::data {

struct FolderOptions {
  int height = 0;  ///< 0 = all images must have the size of the first
  int width = 0;
  int channels = 0;  ///< 1 or 3; 0 = as the first image
  std::size_t limit = 0;
  int max_side = 8192;  ///< larger images are refused before they are decoded
};

struct FolderImages {
  Images images;
  std::vector<std::string> files;        ///< relative to the folder, in the order of the images
  std::vector<int> labels;               ///< empty when there are no sub-folders
  std::vector<std::string> class_names;  ///< sub-folders, sorted
};

/// Images in the order of their paths. Files other than .png, .jpg and .jpeg and hidden files are skipped. A declared
/// size scales by area average (down) and bilinear (up). Errors kIo; kParse: damaged file; kShape: sizes differ and
/// none is declared; kValue: files beside sub-folders, no image,
///         a symbolic link that leaves the folder; kLimit.
base::Result<FolderImages> read_image_folder(const std::string& path, const FolderOptions& options = {},
                                             const ReadLimits& limits = {});

/// What the names and the first image tell.
struct FolderFacts {
  std::size_t files = 0;
  std::size_t classes = 0;  ///< 0 = no sub-folders
  int channels = 1;
  int height = 0;
  int width = 0;
};
base::Result<FolderFacts> peek_image_folder(const std::string& path, const FolderOptions& options = {},
                                            const ReadLimits& limits = {});

/// One decoded image, channel-first. Told apart by content.
struct DecodedImage {
  int channels = 1;
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> bytes;
};
/// `channels` 0 keeps grey images grey and makes everything else colour; transparency is laid over black.
/// Errors kParse: neither PNG nor JPEG, damaged; kLimit: a side above max_side.
base::Result<DecodedImage> parse_image(std::span<const std::uint8_t> bytes, const std::string& name, int channels = 0,
                                       int max_side = 8192);

/// Writes one 8-bit PNG with 1 or 3 channels (channel-first input). Errors kIo; kShape.
base::Status write_png(const std::string& path, std::span<const std::uint8_t> image, int channels, int height,
                       int width);

}  // namespace plumbline::data
