#include "device/cpu_device.hpp"
