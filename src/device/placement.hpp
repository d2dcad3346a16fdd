// Which CPUs of this machine are near a device, so that a rank's threads and their memory are on the device's
// side.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hydrajob {

// Those that the system calls local to a PCI device ("0000:0F:00.0"); none where it does not tell. `root`:
// for tests.
std::vector<int> cpus_near(const std::string& pci_bus_id, const std::filesystem::path& root = "/");

// As the system counts them, whatever this rank is bound to; 0 where it does not tell.
int cpus_online(const std::filesystem::path& root = "/");

// Where to bind a rank that may run on `allowed` of `online` CPUs: to those that are near, unless its
// launcher has bound it already, or that changes nothing. Empty: leave it.
std::vector<int> cpus_to_bind_to(const std::vector<int>& near, const std::vector<int>& allowed, int online);

// Whether a rank that was bound has no CPU that is near, although there are such.
bool is_far(const std::vector<int>& near, const std::vector<int>& allowed);

// The calling thread, and those that it starts from now on. False where the system refuses.
bool bind_to(const std::vector<int>& cpus);

}  // namespace hydrajob
