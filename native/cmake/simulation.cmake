# The native half of benchmarks/scheduling: the scheduler's core in virtual time.
file(GLOB simulation_sources CONFIGURE_DEPENDS ${REPOSITORY_DIR}/benchmarks/scheduling/simulation/*.cc)
add_executable(simulate_scheduling ${simulation_sources})
target_link_libraries(simulate_scheduling PRIVATE npuserve_batching)
