// SPDX-License-Identifier: MIT
#include "tools/kernels/source_package.h"

#include <fmt/format.h>

#include <system_error>

#include "tools/host/paths.h"
#include "tools/host/process.h"
#include "tools/kernels/file_lock.h"
#include "tools/kernels/package.h"

namespace kfdlab {
namespace fs = std::filesystem;
namespace {

bool installed(const SourcePackage& source) {
  const auto output = run_helper({"dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", source.package});
  return output.ok() && output.value().out == "installed " + source.version;
}

// The tarball, and whose it is: of the installed package, or below `scratch`.
Result<fs::path> tarball(const SourcePackage& source, const fs::path& scratch, LiveLine* live) {
  const fs::path inside = fs::path("usr/src") / (source.package + ".tar.xz");
  std::error_code ignored;
  if (const fs::path on_host = "/" / inside; installed(source) && fs::exists(on_host, ignored)) {
    return on_host;
  }
  live->say(fmt::format("downloading {} {}", source.package, source.version));
  const auto deb = download_package(scratch, source.package, source.version);
  KFDLAB_TRY(deb);
  const auto unpacked = run_helper({"dpkg-deb", "-x", deb.value().string(), scratch.string()});
  KFDLAB_TRY(unpacked);
  if (unpacked.value().status != 0) {
    return Error{fmt::format("cannot unpack {}: {}", deb.value().string(), unpacked.value().err)};
  }
  return scratch / inside;
}

}  // namespace

Result<SourcePackage> resolve_source(const fs::path& cache, const std::string& package) {
  auto version = candidate_version(cache, package);
  KFDLAB_TRY(version);
  return SourcePackage{package, version.take()};
}

fs::path source_tree(const fs::path& cache, const SourcePackage& source) {
  return cache / "kernels" / cache_name(source.package + "_" + source.version);
}

Result<fs::path> ensure_source(const fs::path& cache, const SourcePackage& source, LiveLine* live) {
  const fs::path entry = source_tree(cache, source);
  std::error_code error;
  if (fs::exists(entry / "Makefile", error)) {
    return entry;
  }
  fs::create_directories(entry.parent_path(), error);
  const auto lock = lock_patiently(entry.string() + ".lock", live);
  KFDLAB_TRY(lock);
  if (fs::exists(entry / "Makefile", error)) {  // another process just put it there
    return entry;
  }
  auto scratch = TemporaryDirectory::create(entry.parent_path());
  KFDLAB_TRY(scratch);
  const auto packed = tarball(source, scratch.value().path(), live);
  KFDLAB_TRY(packed);
  live->say(fmt::format("unpacking {}", packed.value().string()));
  const fs::path tree = scratch.value().path() / "tree";
  fs::create_directory(tree, error);
  const auto tar = run_helper(
      {"tar", "-C", tree.string(), "--strip-components=1", "--no-same-owner", "-xf", packed.value().string()});
  KFDLAB_TRY(tar);
  if (tar.value().status != 0) {
    return Error{fmt::format("cannot unpack {}: {}", packed.value().string(), tar.value().err)};
  }
  fs::rename(tree, entry, error);
  if (error) {
    return Error{fmt::format("cannot put {} into the cache: {}", entry.string(), error.message())};
  }
  return entry;
}

}  // namespace kfdlab
