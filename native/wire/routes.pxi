# What an endpoint is given: its bounds, and the models that it answers with. Part of _wire.pyx.


cdef class Limits:
    cdef CLimits _limits

    def __init__(self, **limits):
        for name, value in limits.items():
            self._set(name, value)

    cdef _set(self, str name, int64_t value):
        cdef LimitFields fields = limit_fields()
        cdef size_t i
        for i in range(fields.size()):
            if _text(fields[i].name) != name:
                continue
            if not fields[i].least <= value <= fields[i].most:
                raise ValueError(f"{name} must be in range [{fields[i].least}, {fields[i].most}], got {value}")
            fields[i].set(self._limits, value)
            return
        raise TypeError(f"there is no limit '{name}'")

    def as_dict(self):
        cdef LimitFields fields = limit_fields()
        cdef size_t i
        return {_text(fields[i].name): fields[i].get(self._limits) for i in range(fields.size())}


cdef class DeclaredTensor:
    cdef CDeclaredTensor _tensor
    cdef size_t _position

    def __init__(self, *, name, dtype, dims, model_dims, model_dtype=None, position=0):
        self._tensor.name = name.encode()
        self._tensor.dtype = _dtype(dtype)
        if model_dtype is not None and model_dtype != dtype:
            if not is_convertible(_dtype(dtype), _dtype(model_dtype)):
                raise ValueError(f"{dtype} cannot be converted to {model_dtype}")
            self._tensor.model_dtype = _dtype(model_dtype)
        self._tensor.dims = dims
        self._tensor.model_dims = model_dims
        self._position = position


cdef Dtype _dtype(str name) except *:
    cdef bytes text = name.encode()
    cdef optional[Dtype] known = dtype_from_name(string_view(<const char*>text, len(text)))
    if not known.has_value():
        raise ValueError(f"there is no dtype '{name}'")
    return known.value()


cdef class Route:
    cdef CRoute _route

    def __init__(self, *, name, asked_version, version, max_batch_size, inputs, outputs, sink, converts_integers=False):
        if not PyCapsule_IsValid(sink, SINK_CAPSULE):
            raise ValueError("sink must be the capsule of an _engine.Model")
        cdef shared_ptr[InferTarget] target = make_shared[InferTarget]()
        cdef ModelInterface* model = &deref(target).model
        cdef DeclaredTensor tensor
        model.name = name.encode()
        model.version = version.encode()
        model.max_batch_size = max_batch_size
        model.converts_integers = converts_integers
        for tensor in inputs:
            model.inputs.push_back(tensor._tensor)
            model.input_positions.push_back(tensor._position)
        for tensor in outputs:
            model.outputs.push_back(tensor._tensor)
        deref(target).sink = deref(<shared_ptr[Sink]*>PyCapsule_GetPointer(sink, SINK_CAPSULE))
        self._route.name = name.encode()
        self._route.asked_version = asked_version.encode()
        self._route.target = <shared_ptr[const InferTarget]>target
