# The native half of benchmarks/scheduling: the scheduler's core in virtual time.
file(GLOB simulation_sources CONFIGURE_DEPENDS ${REPOSITORY_DIR}/benchmarks/scheduling/simulation/*.cc)
list(FILTER simulation_sources EXCLUDE REGEX /main\.cc$)
add_library(npuserve_simulation STATIC ${simulation_sources})
target_include_directories(npuserve_simulation PUBLIC ${REPOSITORY_DIR}/benchmarks)
target_link_libraries(npuserve_simulation PUBLIC npuserve_flags npuserve_batching)

add_executable(simulate_scheduling ${REPOSITORY_DIR}/benchmarks/scheduling/simulation/main.cc)
target_link_libraries(simulate_scheduling PRIVATE npuserve_simulation)

add_room_tests(simulation npuserve_simulation)
