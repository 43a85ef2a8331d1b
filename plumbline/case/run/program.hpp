#pragma once
/// What computes a figure: this build, the libraries it was built against, and the shared libraries that the dynamic
/// linker gives to the program that runs. All of it is part of every cache key, since all of it may change the bits.

#include <string>
#include <string_view>

#include "plumbline/base/result.hpp"

namespace plumbline::run {

/// "0.1.0 gcc-12.2.0 x86-64-v3 with-torch, Eigen 3.4.0, …": the build and the versions of the libraries that compute;
/// with a program identity, " program 0123456789ab" behind it. Written into runs and evidence.
std::string build_text(std::string_view program = {});

/// SHA-256 over the file of a program and over the shared libraries that it would be given now: their names and build
/// ids (where a library has none: its size and time of change). Asks the dynamic linker, which loads nothing: a few
/// tens of milliseconds for 300 libraries. Follows LD_LIBRARY_PATH and the system's alternatives (which BLAS it is) as
/// the program itself will.
/// Errors  kIo: a file cannot be read. kUnsupported: not a dynamically linked ELF file, or its linker cannot list.
base::Result<std::string> program_identity(const std::string& path);

/// The same, and where it cannot be told a text of this very moment: then nothing is taken from a cache, since nobody
/// can say that the libraries are the same. Errors kIo: the program cannot be read.
base::Result<std::string> cache_identity(const std::string& path);

/// The file that holds this code: the program, or a module that another program has loaded.
std::string this_module();

}  // namespace plumbline::run
