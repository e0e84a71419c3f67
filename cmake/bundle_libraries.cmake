# Copies the libraries that MODULE needs into FOLDER/lib, but those that every Linux has, and the licences of what a wheel holds into
# FOLDER/licenses.
file(GET_RUNTIME_DEPENDENCIES MODULES ${MODULE} RESOLVED_DEPENDENCIES_VAR libraries
  PRE_EXCLUDE_REGEXES "^ld-linux" "^lib(c|m|dl|rt|pthread|stdc[+][+]|gcc_s)[.]so")
foreach(library ${libraries})
  get_filename_component(name ${library} NAME)
  file(REAL_PATH ${library} real)
  message(STATUS "Bundled: ${name}")
  file(MAKE_DIRECTORY ${FOLDER}/lib)
  file(COPY_FILE ${real} ${FOLDER}/lib/${name})
endforeach()

foreach(package llvm-22-dev libfmt9 libjpeg62-turbo libonnx1 libpng16-16 libprotobuf32 libzstd1 zlib1g)
  if(EXISTS /usr/share/doc/${package}/copyright)
    file(MAKE_DIRECTORY ${FOLDER}/licenses)
    file(REAL_PATH /usr/share/doc/${package}/copyright real)
    file(COPY_FILE ${real} ${FOLDER}/licenses/${package}.txt)
  endif()
endforeach()
