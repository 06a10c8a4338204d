# The Python extension modules and the generated protobuf code, written into the package folder.
execute_process(
  COMMAND ${Python_EXECUTABLE} -m pybind11 --cmakedir
  OUTPUT_VARIABLE pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
set(PYBIND11_FINDPYTHON ON)
find_package(pybind11 CONFIG REQUIRED)

file(GLOB binding_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/engine/bindings/*.cc)
pybind11_add_module(_engine MODULE ${binding_sources})
target_link_libraries(_engine PRIVATE npuserve_engine)
set_target_properties(_engine PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${NPUSERVE_PACKAGE_DIR})

pybind11_add_module(_load MODULE ${CMAKE_CURRENT_SOURCE_DIR}/load/bindings/module.cc)
target_link_libraries(_load PRIVATE npuserve_load)
set_target_properties(_load PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${NPUSERVE_PACKAGE_DIR})

# Cython's C++ is not ours to warn about.
set(wire_source ${CMAKE_BINARY_DIR}/_wire.cc)
file(GLOB wire_cython CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/wire/*.pyx ${CMAKE_CURRENT_SOURCE_DIR}/wire/*.pxd
     ${CMAKE_CURRENT_SOURCE_DIR}/wire/*.pxi)
add_custom_command(
  OUTPUT ${wire_source}
  COMMAND ${Python_EXECUTABLE} -m cython --cplus -3 -Werror -I ${CMAKE_CURRENT_SOURCE_DIR} --output-file ${wire_source}
          ${CMAKE_CURRENT_SOURCE_DIR}/wire/_wire.pyx
  DEPENDS ${wire_cython}
  COMMENT "Translating _wire.pyx")
Python_add_library(_wire MODULE WITH_SOABI ${wire_source})
target_compile_options(_wire PRIVATE -w -O2)
target_include_directories(_wire PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(_wire PRIVATE npuserve_wire)
set_target_properties(_wire PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${NPUSERVE_PACKAGE_DIR})

file(GLOB proto_files CONFIGURE_DEPENDS ${REPOSITORY_DIR}/proto/*.proto)
set(proto_stamp ${CMAKE_BINARY_DIR}/proto.stamp)
add_custom_command(
  OUTPUT ${proto_stamp}
  COMMAND ${Python_EXECUTABLE} ${REPOSITORY_DIR}/proto/generate.py ${NPUSERVE_PACKAGE_DIR}/_proto
  COMMAND ${CMAKE_COMMAND} -E touch ${proto_stamp}
  DEPENDS ${proto_files} ${REPOSITORY_DIR}/proto/generate.py
  COMMENT "Generating protobuf code")
add_custom_target(proto ALL DEPENDS ${proto_stamp})
