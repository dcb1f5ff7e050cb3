// SPDX-License-Identifier: MIT
#include "device/cp/engine_link.h"

namespace kfdlab::device {

EngineParts no_engine() {
  return {.create = [](engine::EngineHost&, const engine::EngineMemory&,
                       const engine::EngineOptions&) -> std::unique_ptr<engine::Engine> {
            return std::make_unique<NoEngine>();
          },
          .prepare_aql = [](const engine::AqlLaunch&, engine::Dispatch&, std::uint32_t&) -> std::string {
            return "this device has no engine";
          }};
}

}  // namespace kfdlab::device
