#include "timing/recorder.hpp"
