#include "plumbline/robustness/picture.hpp"

#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <jpeglib.h>

namespace plumbline::robustness {
namespace {

int clamp_index(int i, int n) { return std::clamp(i, 0, n - 1); }

}  // namespace

double sample(const Picture& picture, int channel, double y, double x, Border border) {
  if (border == Border::kNearest) {
    y = std::clamp(y, 0.0, static_cast<double>(picture.height - 1));
    x = std::clamp(x, 0.0, static_cast<double>(picture.width - 1));
  } else if (!(y > -1 && x > -1 && y < picture.height && x < picture.width)) {
    return 0;
  }
  const int y0 = static_cast<int>(std::floor(y));
  const int x0 = static_cast<int>(std::floor(x));
  const double fy = y - y0;
  const double fx = x - x0;
  const auto value = [&](int yy, int xx) {
    if (border == Border::kBlack && (yy < 0 || xx < 0 || yy >= picture.height || xx >= picture.width)) return 0.0;
    return picture.at(channel, clamp_index(yy, picture.height), clamp_index(xx, picture.width));
  };
  return (1 - fy) * ((1 - fx) * value(y0, x0) + fx * value(y0, x0 + 1)) +
         fy * ((1 - fx) * value(y0 + 1, x0) + fx * value(y0 + 1, x0 + 1));
}

Picture warp(const Picture& picture, const std::function<std::pair<double, double>(int, int)>& source, Border border) {
  Picture out(picture.channels, picture.height, picture.width);
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) {
      const auto [sy, sx] = source(y, x);
      for (int c = 0; c < picture.channels; ++c) out.at(c, y, x) = sample(picture, c, sy, sx, border);
    }
  }
  return out;
}

void gaussian_blur(Picture& picture, double sigma) {
  if (sigma <= 0) return;
  const int reach = std::max(1, static_cast<int>(std::ceil(3 * sigma)));
  std::vector<double> kernel(static_cast<std::size_t>(2 * reach + 1));
  double total = 0;
  for (int i = -reach; i <= reach; ++i) {
    const double w = std::exp(-0.5 * i * i / (sigma * sigma));
    kernel[static_cast<std::size_t>(i + reach)] = w;
    total += w;
  }
  for (double& w : kernel) w /= total;
  Picture rows(picture.channels, picture.height, picture.width);
  for (int c = 0; c < picture.channels; ++c) {
    for (int y = 0; y < picture.height; ++y) {
      for (int x = 0; x < picture.width; ++x) {
        double sum = 0;
        for (int i = -reach; i <= reach; ++i)
          sum += kernel[static_cast<std::size_t>(i + reach)] * picture.at(c, y, clamp_index(x + i, picture.width));
        rows.at(c, y, x) = sum;
      }
    }
    for (int y = 0; y < picture.height; ++y) {
      for (int x = 0; x < picture.width; ++x) {
        double sum = 0;
        for (int i = -reach; i <= reach; ++i)
          sum += kernel[static_cast<std::size_t>(i + reach)] * rows.at(c, clamp_index(y + i, picture.height), x);
        picture.at(c, y, x) = sum;
      }
    }
  }
}

void disk_blur(Picture& picture, double radius) {
  constexpr int kSub = 7;  // sub-samples a side for the coverage of a pixel
  const double r = std::sqrt(radius * radius + 0.25);
  const int reach = static_cast<int>(std::ceil(r - 0.5));
  struct Tap {
    int dy;
    int dx;
    double weight;
  };
  std::vector<Tap> taps;
  double total = 0;
  for (int dy = -reach; dy <= reach; ++dy) {
    for (int dx = -reach; dx <= reach; ++dx) {
      int inside = 0;
      for (int i = 0; i < kSub; ++i) {
        for (int j = 0; j < kSub; ++j) {
          const double y = dy + (i + 0.5) / kSub - 0.5;
          const double x = dx + (j + 0.5) / kSub - 0.5;
          if (y * y + x * x <= r * r) ++inside;
        }
      }
      if (inside > 0) taps.push_back({dy, dx, static_cast<double>(inside)});
      total += inside;
    }
  }
  const Picture from = picture;
  for (int c = 0; c < picture.channels; ++c) {
    for (int y = 0; y < picture.height; ++y) {
      for (int x = 0; x < picture.width; ++x) {
        double sum = 0;
        for (const Tap& tap : taps)
          sum +=
              tap.weight * from.at(c, clamp_index(y + tap.dy, picture.height), clamp_index(x + tap.dx, picture.width));
        picture.at(c, y, x) = sum / total;
      }
    }
  }
}

void motion_blur(Picture& picture, double radius, double sigma, double angle) {
  constexpr double kStep = 0.5;  // two samples a pixel
  const int steps = static_cast<int>(std::floor(radius / kStep));
  std::vector<double> weights;
  double total = 0;
  for (int i = 0; i <= steps; ++i) {
    weights.push_back(std::exp(-0.5 * (i * kStep) * (i * kStep) / (sigma * sigma)));
    total += weights.back();
  }
  const double dy = kStep * std::sin(angle);
  const double dx = kStep * std::cos(angle);
  const Picture from = picture;
  for (int c = 0; c < picture.channels; ++c) {
    for (int y = 0; y < picture.height; ++y) {
      for (int x = 0; x < picture.width; ++x) {
        double sum = 0;
        for (int i = 0; i <= steps; ++i)
          sum += weights[static_cast<std::size_t>(i)] * sample(from, c, y + i * dy, x + i * dx, Border::kNearest);
        picture.at(c, y, x) = sum / total;
      }
    }
  }
}

Picture plasma(int height, int width, double decay, base::Rng& rng) {
  int size = 1;
  while (size < std::max(height, width)) size *= 2;
  Picture map(1, size, size);
  const auto at = [&](int y, int x) -> double& {
    return map.at(0, ((y % size) + size) % size, ((x % size) + size) % size);
  };
  double wobble = 1;
  for (int step = size; step >= 2; step /= 2, wobble /= decay) {
    const int half = step / 2;
    for (int y = 0; y < size; y += step) {
      for (int x = 0; x < size; x += step) {
        at(y + half, x + half) = 0.25 * (at(y, x) + at(y + step, x) + at(y, x + step) + at(y + step, x + step)) +
                                 wobble * rng.uniform(-1, 1);
      }
    }
    for (int y = 0; y < size; y += step) {
      for (int x = 0; x < size; x += step) {
        at(y, x + half) = 0.25 * (at(y, x) + at(y, x + step) + at(y + half, x + half) + at(y - half, x + half)) +
                          wobble * rng.uniform(-1, 1);
        at(y + half, x) = 0.25 * (at(y, x) + at(y + step, x) + at(y + half, x + half) + at(y + half, x - half)) +
                          wobble * rng.uniform(-1, 1);
      }
    }
  }
  const auto [low, high] = std::minmax_element(map.values.begin(), map.values.end());
  const double floor = *low;
  const double range = std::max(*high - floor, 1e-12);
  Picture out(1, height, width);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) out.at(0, y, x) = (map.at(0, y, x) - floor) / range;
  }
  return out;
}

Picture gray(const Picture& picture) {
  Picture out(1, picture.height, picture.width);
  for (std::size_t i = 0; i < picture.plane(); ++i) {
    double sum = 0;
    for (int c = 0; c < picture.channels; ++c) sum += picture.values[static_cast<std::size_t>(c) * picture.plane() + i];
    out.values[i] = sum / picture.channels;
  }
  return out;
}

Picture canny(const Picture& picture, double sigma, double low, double high) {
  Picture smooth = gray(picture);
  gaussian_blur(smooth, sigma);
  const int h = picture.height;
  const int w = picture.width;
  Picture size(1, h, w);
  Picture gy(1, h, w);
  Picture gx(1, h, w);
  const auto v = [&](int y, int x) { return smooth.at(0, clamp_index(y, h), clamp_index(x, w)); };
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      gx.at(0, y, x) =
          (v(y - 1, x + 1) + 2 * v(y, x + 1) + v(y + 1, x + 1) - v(y - 1, x - 1) - 2 * v(y, x - 1) - v(y + 1, x - 1)) /
          4;
      gy.at(0, y, x) =
          (v(y + 1, x - 1) + 2 * v(y + 1, x) + v(y + 1, x + 1) - v(y - 1, x - 1) - 2 * v(y - 1, x) - v(y - 1, x + 1)) /
          4;
      size.at(0, y, x) = std::hypot(gx.at(0, y, x), gy.at(0, y, x));
    }
  }
  // Thinning: keep a pixel that is the largest along its gradient; ties go to the first in reading order.
  Picture edges(1, h, w);
  std::vector<std::pair<int, int>> strong;
  for (int y = 0; y < h; ++y) {
    for (int x = 0; x < w; ++x) {
      const double m = size.at(0, y, x);
      if (m < low) continue;
      const double uy = gy.at(0, y, x) / m;
      const double ux = gx.at(0, y, x) / m;
      if (sample(size, 0, y - uy, x - ux, Border::kBlack) >= m || sample(size, 0, y + uy, x + ux, Border::kBlack) > m)
        continue;
      edges.at(0, y, x) = 0.5;  // a candidate until hysteresis connects it
      if (m >= high) strong.emplace_back(y, x);
    }
  }
  while (!strong.empty()) {
    const auto [y, x] = strong.back();
    strong.pop_back();
    if (edges.at(0, y, x) == 1) continue;
    edges.at(0, y, x) = 1;
    for (int dy = -1; dy <= 1; ++dy) {
      for (int dx = -1; dx <= 1; ++dx) {
        const int yy = y + dy;
        const int xx = x + dx;
        if (yy >= 0 && xx >= 0 && yy < h && xx < w && edges.at(0, yy, xx) == 0.5) strong.emplace_back(yy, xx);
      }
    }
  }
  for (double& e : edges.values) e = e == 1 ? 1 : 0;
  return edges;
}

void clip(Picture& picture) {
  for (double& v : picture.values) v = std::clamp(v, 0.0, 1.0);
}

namespace {

struct JpegTrap {
  jpeg_error_mgr manager;  // first, so that the library's pointer is ours
  std::jmp_buf jump;
};
void jpeg_fail(j_common_ptr info) { std::longjmp(reinterpret_cast<JpegTrap*>(info->err)->jump, 1); }
void jpeg_quiet(j_common_ptr, int) {}

// Interleaved bytes of 1 or 3 channels, replaced by their decoded JPEG. Objects with destructors stay outside the
// jumps.
bool jpeg_bytes(std::uint8_t* bytes, int channels, int height, int width, int quality) {
  JpegTrap trap{};
  const auto stride = static_cast<std::size_t>(channels) * static_cast<std::size_t>(width);
  unsigned char* volatile packed = nullptr;
  volatile unsigned long packed_size = 0;
  {
    jpeg_compress_struct out{};
    out.err = jpeg_std_error(&trap.manager);
    trap.manager.error_exit = jpeg_fail;
    trap.manager.emit_message = jpeg_quiet;
    unsigned char* buffer = nullptr;
    unsigned long size = 0;
    if (setjmp(trap.jump) != 0) {
      jpeg_destroy_compress(&out);
      return false;
    }
    jpeg_create_compress(&out);
    jpeg_mem_dest(&out, &buffer, &size);
    out.image_width = static_cast<JDIMENSION>(width);
    out.image_height = static_cast<JDIMENSION>(height);
    out.input_components = channels;
    out.in_color_space = channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(&out);
    jpeg_set_quality(&out, quality, TRUE);
    out.dct_method = JDCT_ISLOW;
    jpeg_start_compress(&out, TRUE);
    while (out.next_scanline < out.image_height) {
      JSAMPROW row = bytes + static_cast<std::size_t>(out.next_scanline) * stride;
      jpeg_write_scanlines(&out, &row, 1);
    }
    jpeg_finish_compress(&out);
    jpeg_destroy_compress(&out);
    packed = buffer;
    packed_size = size;
  }
  jpeg_decompress_struct in{};
  in.err = jpeg_std_error(&trap.manager);
  trap.manager.error_exit = jpeg_fail;
  trap.manager.emit_message = jpeg_quiet;
  if (setjmp(trap.jump) != 0) {
    jpeg_destroy_decompress(&in);
    std::free(packed);
    return false;
  }
  jpeg_create_decompress(&in);
  jpeg_mem_src(&in, packed, packed_size);
  jpeg_read_header(&in, TRUE);
  in.dct_method = JDCT_ISLOW;
  jpeg_start_decompress(&in);
  while (in.output_scanline < in.output_height) {
    JSAMPROW row = bytes + static_cast<std::size_t>(in.output_scanline) * stride;
    jpeg_read_scanlines(&in, &row, 1);
  }
  jpeg_finish_decompress(&in);
  jpeg_destroy_decompress(&in);
  std::free(packed);
  return true;
}

}  // namespace

bool jpeg_round_trip(Picture& picture, int quality) {
  const int together = picture.channels == 3 ? 3 : 1;
  std::vector<std::uint8_t> bytes(picture.plane() * static_cast<std::size_t>(together));
  for (int first = 0; first < picture.channels; first += together) {
    for (int c = 0; c < together; ++c) {
      for (std::size_t i = 0; i < picture.plane(); ++i) {
        const double v =
            std::clamp(picture.values[static_cast<std::size_t>(first + c) * picture.plane() + i], 0.0, 1.0);
        bytes[i * static_cast<std::size_t>(together) + static_cast<std::size_t>(c)] =
            static_cast<std::uint8_t>(std::lround(v * 255));
      }
    }
    if (!jpeg_bytes(bytes.data(), together, picture.height, picture.width, quality)) return false;
    for (int c = 0; c < together; ++c) {
      for (std::size_t i = 0; i < picture.plane(); ++i) {
        picture.values[static_cast<std::size_t>(first + c) * picture.plane() + i] =
            bytes[i * static_cast<std::size_t>(together) + static_cast<std::size_t>(c)] / 255.0;
      }
    }
  }
  return true;
}

}  // namespace plumbline::robustness
