// SPDX-License-Identifier: MIT
#include "tools/kernels/package.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <system_error>
#include <vector>

#include "tools/host/paths.h"
#include "tools/host/process.h"

namespace kfdlab {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kImagePrefix = "linux-image-";

// Changes whenever apt's view of the world may have changed; asking apt itself takes half a second.
std::string index_stamp() {
  std::string stamp;
  for (const char* path : {"/var/lib/apt/lists", "/var/lib/dpkg/status", "/etc/apt/sources.list.d"}) {
    struct stat info {};
    ::stat(path, &info);
    stamp += fmt::format("{}.{} ", info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  }
  return stamp;
}

std::optional<KernelPackage> parse_resolved(std::string_view text, std::string_view stamp) {
  std::istringstream lines{std::string(text)};
  std::string first;
  KernelPackage package;
  std::getline(lines, first);
  lines >> package.package >> package.version >> package.release;
  if (package.release.empty() || (!stamp.empty() && first != stamp)) {
    return std::nullopt;
  }
  return package;
}

Result<KernelPackage> ask_index(std::string_view metapackage) {
  const auto depends = run_helper({"apt-cache", "depends", "--important", std::string(metapackage)});
  KFDLAB_TRY(depends);
  const auto package = parse_depends(depends.value().out);
  if (!package) {
    return Error{fmt::format("the package index does not know {}; run apt-get update, or add a source that has it",
                             metapackage)};
  }
  const auto policy = run_helper({"apt-cache", "policy", *package});
  KFDLAB_TRY(policy);
  const auto version = parse_policy(policy.value().out);
  if (!version) {
    return Error{fmt::format("the package index has no version of {}; run apt-get update", *package)};
  }
  return KernelPackage{*package, *version, package->substr(kImagePrefix.size())};
}

Status unpack(const fs::path& deb, const fs::path& target, const KernelPackage& package) {
  const auto unpacked = run_helper({"dpkg-deb", "-x", deb.string(), target.string()});
  KFDLAB_TRY(unpacked);
  if (unpacked.value().status != 0) {
    return Error{fmt::format("cannot unpack {}: {}", deb.string(), unpacked.value().err)};
  }
  const auto depmod = run_helper({"depmod", "-b", target.string(), package.release});
  KFDLAB_TRY(depmod);
  if (depmod.value().status != 0) {
    return Error{fmt::format("depmod failed on {}: {}", target.string(), depmod.value().err)};
  }
  return ok_status();
}

}  // namespace

Result<fs::path> download_package(const fs::path& directory, const std::string& package, const std::string& version) {
  std::vector<std::string> argv = {"apt-get", "download", package + "=" + version};
  if (::geteuid() == 0) {
    argv.insert(argv.end(), {"-o", "APT::Sandbox::User=root"});
  }
  const auto result = run_helper(argv, directory.string());
  KFDLAB_TRY(result);
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() == ".deb") {
      return entry.path();
    }
  }
  std::string reason = result.value().err.substr(0, result.value().err.find('\n'));
  return Error{
      fmt::format("cannot download {} {} ({}); connect to the package archive once, the cache serves later runs",
                  package, version, reason)};
}

std::optional<std::string> parse_depends(std::string_view output) {
  constexpr std::string_view kDepends = "Depends:";
  std::istringstream lines{std::string(output)};
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string word;
    std::string package;
    words >> word >> package;
    if (word == kDepends && package.starts_with(kImagePrefix)) {
      return package;
    }
  }
  return std::nullopt;
}

std::optional<std::string> parse_policy(std::string_view output) {
  std::istringstream lines{std::string(output)};
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string word;
    std::string version;
    words >> word >> version;
    if (word == "Candidate:" && !version.empty() && version != "(none)") {
      return version;
    }
  }
  return std::nullopt;
}

Result<KernelPackage> resolve_metapackage(const fs::path& cache, std::string_view metapackage) {
  std::error_code ignored;
  fs::create_directories(cache / "kernels", ignored);
  const fs::path memo = cache / "kernels" / (std::string(metapackage) + ".resolved");
  const std::string stamp = index_stamp();
  const auto text = read_file(memo);
  if (text.ok()) {
    if (const auto package = parse_resolved(text.value(), stamp)) {
      return *package;
    }
  }
  const auto package = ask_index(metapackage);
  if (package.ok()) {
    const auto& found = package.value();
    KFDLAB_TRY(
        write_file_atomically(memo, fmt::format("{}\n{} {} {}\n", stamp, found.package, found.version, found.release)));
    return package;
  }
  if (text.ok()) {
    if (const auto last = parse_resolved(text.value(), {}); last && package_cached(cache, *last)) {
      return *last;
    }
  }
  return package;
}

Result<std::string> candidate_version(const fs::path& cache, const std::string& package) {
  std::error_code ignored;
  fs::create_directories(cache / "kernels", ignored);
  const fs::path memo = cache / "kernels" / (package + ".version");
  const std::string stamp = index_stamp();
  std::string last;
  if (const auto text = read_file(memo); text.ok()) {
    std::istringstream lines(text.value());
    std::string first;
    std::getline(lines, first);
    lines >> last;
    if (first == stamp && !last.empty()) {
      return last;
    }
  }
  const auto policy = run_helper({"apt-cache", "policy", package});
  KFDLAB_TRY(policy);
  if (const auto version = parse_policy(policy.value().out)) {
    KFDLAB_TRY(write_file_atomically(memo, fmt::format("{}\n{}\n", stamp, *version)));
    return *version;
  }
  if (!last.empty()) {
    return last;
  }
  return Error{
      fmt::format("the package index does not know {}; run apt-get update, or add a source that has it", package)};
}

std::string cache_name(std::string name) {
  std::replace(name.begin(), name.end(), ':', '.');  // an epoch's colon separates 9p and mount options
  return name;
}

fs::path package_directory(const fs::path& cache, const KernelPackage& package) {
  return cache / "kernels" / cache_name(package.package + "_" + package.version);
}

bool package_cached(const fs::path& cache, const KernelPackage& package) {
  std::error_code ignored;
  return fs::exists(package_directory(cache, package), ignored);
}

Result<fs::path> ensure_package(const fs::path& cache, const KernelPackage& package) {
  const fs::path entry = package_directory(cache, package);
  if (package_cached(cache, package)) {
    return entry;
  }
  std::error_code error;
  fs::create_directories(entry.parent_path(), error);
  const auto lock = lock_file(entry.string() + ".lock");
  KFDLAB_TRY(lock);
  if (package_cached(cache, package)) {  // another process just put it there
    return entry;
  }
  auto temporary = TemporaryDirectory::create(entry.parent_path());
  KFDLAB_TRY(temporary);
  const auto deb = download_package(temporary.value().path(), package.package, package.version);
  KFDLAB_TRY(deb);
  const fs::path tree = temporary.value().path() / "tree";
  KFDLAB_TRY(unpack(deb.value(), tree, package));
  fs::rename(tree, entry, error);
  if (error) {
    return Error{fmt::format("cannot put {} into the cache: {}", entry.string(), error.message())};
  }
  return entry;
}

}  // namespace kfdlab
