#pragma once

namespace plumbline::cli {

/// docs/gauntlet-full.json as it was when this program was built.
extern "C" const char plumbline_stamped_gauntlet[];
inline const char* const kStampedGauntlet = plumbline_stamped_gauntlet;

}  // namespace plumbline::cli
