// A library with NVML's names and one GPU, for the tests of what loads it. The environment says what fails:
// FAKE_NVML_<function> is the status that it returns. FAKE_NVML_LOG names a file that gets a line a call of
// nvmlInit_v2 and nvmlShutdown.
// Compiled with FAKE_OLD_NVML it has the older name of the clock's reasons only; with FAKE_BARE_NVML neither
// that nor power.
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

namespace {

constexpr int invalid_argument = 2, not_found = 6, insufficient_size = 7;  // nvmlReturn_t
constexpr const char* uuid = "GPU-01234567-89ab-cdef-0123-456789abcdef";
char gpu;

int asked_for(const char* function) {
  const char* status = std::getenv((std::string("FAKE_NVML_") + function).c_str());
  return status == nullptr ? 0 : std::atoi(status);
}

int note(const char* call) {
  if (const char* path = std::getenv("FAKE_NVML_LOG")) std::ofstream(path, std::ios::app) << call << '\n';
  return asked_for(call);
}

// Like NVML, nothing is written where it fails.
template <class T>
int tell(const char* function, void* device, T* out, T value) {
  if (const int status = asked_for(function)) return status;
  if (device != &gpu) return invalid_argument;
  *out = value;
  return 0;
}

}  // namespace

extern "C" {

int nvmlInit_v2() {
  return note("nvmlInit_v2");
}
int nvmlShutdown() {
  return note("nvmlShutdown");
}

int nvmlSystemGetDriverVersion(char* version, unsigned length) {
  constexpr char text[] = "580.159.04";
  if (const int status = asked_for("nvmlSystemGetDriverVersion")) return status;
  if (length < sizeof text) return insufficient_size;
  std::memcpy(version, text, sizeof text);
  return 0;
}

int nvmlDeviceGetHandleByUUID(const char* asked, void** device) {
  if (std::strcmp(asked, uuid) != 0) return not_found;
  return tell<void*>("nvmlDeviceGetHandleByUUID", &gpu, device, &gpu);
}

int nvmlDeviceGetClockInfo(void* device, int clock, unsigned* mhz) {
  if (clock != 1) return invalid_argument;
  return tell("nvmlDeviceGetClockInfo", device, mhz, 1755u);
}

#ifndef FAKE_BARE_NVML
#ifndef FAKE_OLD_NVML
int nvmlDeviceGetCurrentClocksEventReasons(void* device, unsigned long long* bits) {
  return tell("nvmlDeviceGetCurrentClocksEventReasons", device, bits, 0x24ull);
}
#endif
int nvmlDeviceGetCurrentClocksThrottleReasons(void* device, unsigned long long* bits) {
  return tell("nvmlDeviceGetCurrentClocksThrottleReasons", device, bits, 0x8ull);
}
int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  return tell("nvmlDeviceGetPowerUsage", device, milliwatts, 612345u);
}
int nvmlDeviceGetPowerManagementLimit(void* device, unsigned* milliwatts) {
  return tell("nvmlDeviceGetPowerManagementLimit", device, milliwatts, 700000u);
}
#endif

}  // extern "C"
