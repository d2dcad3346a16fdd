#include "store/merge.hpp"

#include <string>
#include <unistd.h>
#include <utility>

#include "base/error.hpp"
#include "base/file.hpp"
#include "store/store_file.hpp"

namespace hydrajob {

std::size_t merge_stores(const std::vector<std::filesystem::path>& stores,
                         const std::filesystem::path& target) {
  if (is_there(target)) throw StoreError(target.string() + ": is there already; merge writes a new file");
  std::vector<RunRecord> records;
  for (const auto& store : stores) {
    for (RunRecord& record : read_store(store)) records.push_back(std::move(record));
  }
  records = preferred_attempts(std::move(records));
  const std::filesystem::path temporary = target.string() + ".tmp." + std::to_string(::getpid());
  try {
    write_store_file(temporary, records);
    publish_new_file(temporary, target);
  } catch (...) {
    std::error_code none;
    std::filesystem::remove(temporary, none);
    throw;
  }
  return records.size();
}

}  // namespace hydrajob
