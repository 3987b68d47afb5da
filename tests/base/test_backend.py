import keras
import numpy as np
import pytest
from harness import QUICK_JIT, run_in_new_process, to_numpy
from keras import ops
from small_models import small_autoencoder

from keras_bld.autoencoder import PatchCritic
from keras_bld.base.backend import attention, backend_name, compile_function, fuse, runs_on_cpu

TRACES = backend_name() != "torch"  # torch runs eagerly


def test_backend_name_is_that_of_keras():
    assert backend_name() == keras.config.backend()


def test_runs_on_cpu_agrees_with_where_tensors_lie():
    assert runs_on_cpu() is ("cpu" in str(ops.ones(2).device).lower())


@pytest.mark.parametrize("mask_shape", [None, (2, 1, 1, 7), (2, 1, 5, 7)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("bfloat16", 0.03)])
def test_attention_is_that_of_float64(dtype, tolerance, mask_shape):
    generator = np.random.default_rng(0)
    query, key, value = (generator.normal(size=(2, length, 3, 8)) for length in (5, 7, 7))
    mask = None if mask_shape is None else generator.random(mask_shape) < 0.6
    scores = np.einsum("bqhc,bkhc->bhqk", query, key) / np.sqrt(8)
    if mask is not None:
        mask[..., 0] = True
        scores = np.where(mask, scores, -np.inf)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    expected = np.einsum("bhqk,bkhc->bqhc", weights, value)
    tensors = [ops.cast(x, dtype) for x in (query, key, value)]
    received = attention(*tensors, mask=None if mask is None else ops.convert_to_tensor(mask))
    assert keras.backend.standardize_dtype(received.dtype) == dtype
    received = to_numpy(ops.cast(received, "float32"))
    np.testing.assert_allclose(received, expected, rtol=0, atol=tolerance)


def test_compiled_function_sees_the_current_values_of_variables():
    dense = keras.layers.Dense(2, kernel_initializer="ones")
    dense.build((None, 3))
    compiled = compile_function(dense, lambda: dense.variables)
    x = np.array([[1.0, 2.0, 4.0]], "float32")
    assert to_numpy(compiled(x)).tolist() == [[7.0, 7.0]]
    dense.kernel.assign(2.0 * np.ones((3, 2)))
    dense.bias.assign([0.0, 1.0])
    assert to_numpy(compiled(x)).tolist() == [[14.0, 15.0]]
    assert compiled.num_traces == (1 if TRACES else 0)


def test_changed_values_do_not_retrace_and_changed_shapes_do():
    compiled = compile_function(lambda x, scale: x * scale, list)
    for scale in (1.0, 2.0, 3.0):
        received = compiled(np.ones((2, 2), "float32"), scale)
        assert to_numpy(received).tolist() == [[scale] * 2] * 2
    assert compiled.num_traces == (1 if TRACES else 0)
    assert to_numpy(compiled(np.ones(3, "float32"), 2.0)).tolist() == [2.0] * 3
    assert compiled.num_traces == (2 if TRACES else 0)
    compiled(np.ones((2, 2), "float32"), 5.0)
    assert compiled.num_traces == (2 if TRACES else 0)


def test_python_and_numpy_numbers_of_one_dtype_share_a_trace():
    compiled = compile_function(lambda scale: scale + 1.0, list)
    for scale in (1.0, np.float32(2.0), np.array(3.0, "float32")):
        assert float(compiled(scale)) == scale + 1.0
    assert compiled.num_traces == (1 if TRACES else 0)


def test_outputs_may_be_a_nest():
    compiled = compile_function(lambda x: {"double": 2 * x, "parts": (x[:1], x[1:])}, list)
    received = to_numpy(compiled(np.array([1.0, 2.0], "float32")))
    assert received["double"].tolist() == [2.0, 4.0]
    assert [part.tolist() for part in received["parts"]] == [[1.0], [2.0]]


def test_functions_do_not_share_their_counters():
    first = compile_function(lambda x: x + 1, list)
    second = compile_function(lambda x: x + 2, list)
    first(np.float32(1.0))
    assert (first.num_traces, second.num_traces) == ((1, 0) if TRACES else (0, 0))
    assert float(second(np.float32(1.0))) == 3.0


def test_a_loop_is_compiled_with_its_length_as_an_argument():
    def power(x, exponent):
        def multiply(_, product):
            return product * x

        return ops.fori_loop(0, exponent, multiply, ops.ones_like(x))

    compiled = compile_function(power, list)
    assert [float(compiled(np.float32(2.0), exponent)) for exponent in (1, 3, 10)] == [2, 8, 1024]
    assert compiled.num_traces == (1 if TRACES else 0)


def test_compiled_inference_records_no_gradient():
    dense = keras.layers.Dense(1)
    dense.build((None, 1))
    compiled = compile_function(dense, lambda: dense.variables)
    assert not getattr(compiled(np.ones((1, 1), "float32")), "requires_grad", False)


@pytest.mark.parametrize("name", ["tensorflow", "jax", "torch"])
@pytest.mark.once
def test_only_the_chosen_backends_file_is_imported(name):
    printed = run_in_new_process(
        "import sys, numpy\n"
        "from keras_bld.base.backend import compile_function\n"
        "compiled = compile_function(lambda x: x + 1, list)\n"
        "print(float(compiled(numpy.float32(1.0))))\n"
        "names = [m for m in sys.modules if m.startswith('keras_bld.base.backend.')]\n"
        "print(*[name for name in names if name.endswith('_backend')])\n",
        backend=name,
    )
    assert printed.splitlines() == ["2.0", f"keras_bld.base.backend.{name}_backend"]


def test_a_fused_function_computes_the_same_inside_another_one():
    fused = fuse(lambda x, y: (x * y + 1.0, ops.tanh(x)))
    outer = compile_function(lambda x: fused(x, 2.0 * x)[0], list)
    assert to_numpy(outer(np.array([1.0, 2.0], "float32"))).tolist() == [3.0, 9.0]
    assert to_numpy(fused(ops.zeros(2), ops.ones(2))[1]).tolist() == [0.0, 0.0]


@pytest.mark.once
@pytest.mark.parametrize("system", ["Linux", "Darwin"])
def test_no_xla_where_apples_gpu_has_none(monkeypatch, system):
    import tensorflow as tf

    from keras_bld.base.backend import tensorflow_backend

    monkeypatch.setattr(tensorflow_backend.platform, "system", lambda: system)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a device"])
    fused = tensorflow_backend.fuse_with_xla(lambda x: x + 1.0)
    assert fused._jit_compile == (system == "Linux")


@pytest.mark.skipif(backend_name() != "tensorflow", reason="what TensorFlow's tracing costs")
@pytest.mark.parametrize("stage", ["autoencoder", "diffusion"])
def test_a_training_step_is_traced_once(stage, make_autoencoder, make_diffusion):
    model = make_autoencoder() if stage == "autoencoder" else make_diffusion()
    shape = model.image_shape if stage == "autoencoder" else model.code_shape
    traces, compute_loss = [], model.compute_loss
    model.compute_loss = lambda *args, **options: traces.append(1) or compute_loss(*args, **options)
    model.compile(keras.optimizers.Adam(1e-3), jit_compile=QUICK_JIT)
    model.fit(np.zeros((8, *shape), "float32"), batch_size=4, epochs=2, verbose=0)
    assert len(traces) == 1


def test_traces_that_are_meant_are_no_reason_to_warn(caplog):
    for size in range(8):
        compiled = compile_function(lambda x: x + 1.0, list)
        compiled(np.ones(size, "float32"))
        compiled(np.ones(size, "float32"))
        compiled(x=np.ones((size, 1), "float32"))
        assert compiled.num_traces == 2 * TRACES
    assert "retracing" not in caplog.text


@pytest.mark.skipif(backend_name() != "jax", reason="only JAX has such a fused attention")
def test_a_mask_for_all_queries_names_each_for_jax(monkeypatch):
    seen = []
    real = ops.dot_product_attention

    def watching(*arguments, mask):
        seen.append(tuple(mask.shape))
        return real(*arguments, mask=mask)

    monkeypatch.setattr(ops, "dot_product_attention", watching)
    query = np.ones((2, 5, 3, 8), "float32")
    attention(query, query, query, mask=np.ones((2, 1, 1, 5), bool))
    assert seen == [(2, 1, 5, 5)]


def graph_of_a_step(model, x):
    """Nodes of TensorFlow's graph of a training step, as it runs, by their names."""
    from tensorflow.python.eager import context

    context.enable_graph_collection()
    try:
        model.train_on_batch(x)
        graphs = context.context().export_run_metadata().function_graphs
    finally:
        context.disable_graph_collection()
    largest = max((graph.post_optimization_graph for graph in graphs), key=lambda g: len(g.node))
    return {node.name: node for node in largest.node}


def reads_beside_updates(nodes):
    """Reads of variables and updates of the same, neither of which waits for the other."""

    def waits_for(name):
        seen, todo = set(), [name]
        while todo:
            before = {i.lstrip("^").split(":")[0] for i in nodes[todo.pop()].input}
            todo += before - seen
            seen |= before
        return seen

    reads = [node for node in nodes.values() if node.op == "ReadVariableOp"]
    updates = [node for node in nodes.values() if node.op.startswith("Assign")]
    assert reads
    assert updates
    return [
        (read.name, update.name)
        for update in updates
        for before_update in [waits_for(update.name)]
        for read in reads
        if read.input[0] == update.input[0]
        and read.name not in before_update
        and update.name not in waits_for(read.name)
    ]


@pytest.mark.skipif(backend_name() != "tensorflow", reason="TensorFlow's graphs")
def test_no_update_of_a_critic_comes_before_the_reads_of_its_old_weights():
    critic = {"critic": PatchCritic(2, 1), "critic_start_step": 0, "augment_policy": ("color",)}
    sizes = {"width_multipliers": (1,), "num_groups": 2, "attention_resolutions": ()}
    model = small_autoencoder((8, 8, 1), base_width=4, **sizes, **critic)
    model.compile("adam", jit_compile=False)
    nodes = graph_of_a_step(model, np.zeros((2, 8, 8, 1), "float32"))
    assert reads_beside_updates(nodes) == []
