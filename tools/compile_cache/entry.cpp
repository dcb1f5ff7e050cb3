// SPDX-License-Identifier: MIT
#include "tools/compile_cache/entry.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string_view>

#include "common/fd.h"
#include "tools/compile_cache/real_library.h"

namespace kfdlab::compile_cache {
namespace {

// Nothing that ROCm compiles in a process comes near; it bounds what one program can leave in the cache at once.
constexpr std::size_t kLargestEntry = 16u << 20;

std::uint64_t hash(std::string_view text) { return std::hash<std::string_view>()(text); }

std::string path_of(const std::string& key) {
  char name[32];
  std::snprintf(name, sizeof(name), "/%016llx", static_cast<unsigned long long>(hash(key)));
  return std::string(kEntries) + name;
}

void put(std::string* out, std::uint64_t value) { out->append(reinterpret_cast<const char*>(&value), sizeof(value)); }

void put(std::string* out, std::string_view text) {
  put(out, text.size());
  out->append(text);
}

// Reads what put() wrote; everything is false or empty from the first thing on that does not fit.
class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}

  std::uint64_t number() {
    std::uint64_t value = 0;
    if (rest_.size() < sizeof(value)) {
      good_ = false;
      return 0;
    }
    std::memcpy(&value, rest_.data(), sizeof(value));
    rest_.remove_prefix(sizeof(value));
    return value;
  }

  std::string_view text() {
    const std::uint64_t size = number();
    if (size > rest_.size()) {
      good_ = false;
      return {};
    }
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }

  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

std::optional<std::string> read_whole(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!file.valid() || ::fstat(file.get(), &status) != 0 || static_cast<std::size_t>(status.st_size) > kLargestEntry) {
    return std::nullopt;
  }
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (n <= 0) {
      return std::nullopt;
    }
    done += static_cast<std::size_t>(n);
  }
  return bytes;
}

bool write_whole(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

std::optional<std::vector<Data>> load_entry(const std::string& key) {
  const auto bytes = read_whole(path_of(key));
  if (!bytes || bytes->size() < sizeof(std::uint64_t)) {
    return std::nullopt;
  }
  const std::string_view body = std::string_view(*bytes).substr(sizeof(std::uint64_t));
  if (Reader(*bytes).number() != hash(body)) {
    return std::nullopt;
  }
  Reader reader(body);
  if (reader.text() != key) {
    return std::nullopt;
  }
  std::vector<Data> results;
  while (reader.good() && !reader.at_end()) {
    Data data;
    data.kind = static_cast<amd_comgr_data_kind_t>(reader.number());
    data.name = reader.text();
    data.bytes = reader.text();
    results.push_back(std::move(data));
  }
  return reader.good() ? std::optional(std::move(results)) : std::nullopt;
}

void store_entry(const std::string& key, const std::vector<Data>& results) {
  static std::atomic<unsigned> serial{0};
  std::string body;
  put(&body, key);
  for (const Data& data : results) {
    put(&body, static_cast<std::uint64_t>(data.kind));
    put(&body, data.name);
    put(&body, data.bytes);
  }
  if (body.size() > kLargestEntry - sizeof(std::uint64_t)) {
    return;
  }
  const std::string path = path_of(key);
  const std::string temporary = path + "." + std::to_string(::getpid()) + "-" + std::to_string(serial++);
  const Fd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  std::string head;
  put(&head, hash(body));
  if (!file.valid()) {
    return;
  }
  if (!write_whole(file.get(), head) || !write_whole(file.get(), body) ||
      ::rename(temporary.c_str(), path.c_str()) != 0) {
    ::unlink(temporary.c_str());
  }
}

}  // namespace kfdlab::compile_cache
