#pragma once
/// The report's script and style sheet, built from web/ and embedded in the library.

#include <string_view>

namespace plumbline::report {

std::string_view report_script();
std::string_view report_style();

}  // namespace plumbline::report
