"""What stages say in sentences of their own, in Chinese: checks, notes, artifacts, advice.

A pattern matches a whole sentence; its groups stand where the numbers are. What none matches stays as it is.
"""

from collections.abc import Mapping

_CHECKS: Mapping[str, str] = {
    r"cosine of the answers, ONNX Runtime against (.+), worst of (\d+) samples": (
        "ONNX Runtime 与 {0} 输出余弦相似度（{1} 个样本中最差）"
    ),
    r"cosine of a padded batch of (\d+) against (.+)'s single answers": "{0} 行填充批与 {1} 单条输出的余弦相似度",
    r"unsupported operators": "不支持的算子数",
    r"operators unknown to the emulator": "仿真器未知的算子数",
    r"exit code of atc": "atc 退出码",
    r"OM files that atc wrote": "atc 生成的 OM 文件数",
    r"OMs that load": "可加载的 OM 数",
    r"inputs and outputs unlike the ONNX": "与 ONNX 不一致的输入输出数",
    r"gears unlike the plan": "与规划不一致的档位数",
    r"cosine of one answer": "单条应答的余弦相似度",
    r"max abs error of one answer": "单条应答的最大绝对误差",
    r"largest difference of batched answers from single ones": "组批与单条应答的最大差异",
    r"cosine of all (.+) together": "{0} 所有样本合计的余弦相似度",
    r"cosine of (.+), golden sample (\d+)": "{0} 的余弦相似度（基准样本 {1}）",
    r"max abs error of (.+), golden sample (\d+)": "{0} 的最大绝对误差（基准样本 {1}）",
    r"cosine of (.+)": "{0} 的余弦相似度",
    r"max abs error of (.+)": "{0} 的最大绝对误差",
    r"mean abs error of (.+)": "{0} 的平均绝对误差",
    r"accuracy drop of int8, simulated": "int8 准确率下降（模拟）",
    r"accuracy drop of int8": "int8 准确率下降",
    r"accuracy drop": "准确率下降",
    r"drop of the entities' F1": "实体 F1 下降",
    r"answers with the same class as the baseline's": "与基线类别一致的应答",
    r"requests that failed under load": "压测中失败的请求数",
    r"QPS at (\d+) at once, median of (\d+) rounds, of the baseline's": "并发 {0} 的 QPS（{1} 轮中位数），相对基线",
    r"P99 at (\d+) at once, median of (\d+) rounds, of the baseline's": "并发 {0} 的 P99（{1} 轮中位数），相对基线",
}

_NOTES: Mapping[str, str] = {
    # S1
    r"max abs error (\S+), mean (\S+)": "最大绝对误差 {0}，平均 {1}",
    r"the samples are random tokens, as neither source\.dataset nor source\.inputs is given": (
        "未给出 source.dataset 或 source.inputs，样本为随机 token"
    ),
    r"the baseline is the given graph in ONNX Runtime, with its optimizations off": (
        "基线为所给图在 ONNX Runtime 中的输出（关闭图优化）"
    ),
    r"the given graph takes batches of one size only, by its input '(.+)'": "所给图只接受一种批大小（由输入 {0} 决定）",
    r"the sequence axis is fixed by the module: (.+)": "模块固定了序列轴：{0}",
    # S2
    r"(\d+) operators, (\d+) nodes: all supported": "{0} 种算子、{1} 个节点，全部支持",
    r"(\d+) operators, (\d+) nodes: (\d+) not supported: (.+)": "{0} 种算子、{1} 个节点，其中 {2} 种不支持：{3}",
    r"(\d+) of (\d+) rows of the data set are longer than the longest gear, (\d+)": (
        "数据集 {1} 行中有 {0} 行长于最长档位 {2}"
    ),
    r"the ONNX has fixed shapes, so there is one gear": "ONNX 形状固定，因此只有一个档位",
    r"atc failed: (.+)": "atc 失败：{0}",
    r"the OM does not load: (.+)": "OM 无法加载：{0}",
    r"CANN's documentation allows quantized models fixed shapes only: there, one batch and one length": (
        "CANN 文档规定量化模型只能用固定形状：届时只有一个批大小和一个长度"
    ),
    r"AMCT is not installed, so ONNX Runtime quantized: atc must know QuantizeLinear and DequantizeLinear": (
        "未安装 AMCT，由 ONNX Runtime 量化：atc 须支持 QuantizeLinear 与 DequantizeLinear"
    ),
    r"int8: (\d+) of (\d+) layers that can be quantized; judged by (.+)": (
        "int8：可量化的 {1} 层中量化 {0} 层；依据 {2}"
    ),
    r"(\d+) layers stay in float, as the drop may be (\S+) points without them and (\S+) with them: (.+)": (
        "{0} 层保持浮点：否则可能下降 {1} 个百分点，现为 {2}：{3}"
    ),
    r"float32, float16 and int8 were not compared as OMs: (.+)": "未能以 OM 比较 float32、float16 与 int8：{0}",
    # S3
    r"the first bad layer is '(.+)' \((.+), depth (\d+)\): relative error (\S+) where its inputs have (\S+); "
    r"alone, with right inputs, (\S+)": (
        "首个异常层为 {0}（{1}，深度 {2}）：相对误差 {3}，其输入为 {4}；以正确输入单独运行为 {5}"
    ),
    r"the first bad layer is '(.+)' \((.+), depth (\d+)\): relative error (\S+) where its inputs have (\S+); "
    r"could not be run alone": "首个异常层为 {0}（{1}，深度 {2}）：相对误差 {3}，其输入为 {4}；无法单独运行",
    r"the error jumps at '(.+)', but alone it is right: it only shows its inputs' error": (
        "误差在 {0} 处突增，但单独运行正确：它只是反映了输入的误差"
    ),
    r"the comparison of layers ended early: (.+)": "逐层比对提前结束：{0}",
    # S5
    r"npuserve: npuserve, backend (\w+)": "新服务：npuserve，后端 {0}",
    r"baseline: npuserve, backend (\w+)": "基线：npuserve，后端 {0}",
    r"npuserve: (.+)": "新服务：{0}",
    r"baseline: (.+)": "基线：{0}",
    r"both services are the same, so the gate of speed says what chance does": ("两个服务相同，性能门限仅反映测量波动"),
    r"the texts have no labels, so that no accuracy can be told: classes were compared with the baseline's instead": (
        "文本没有标签，无法给出准确率：仅与基线比较类别"
    ),
    r"there is no labelled set with a tokenizer: classes were compared with the baseline's instead": (
        "没有带分词器的标注集：仅与基线比较类别"
    ),
    r"a round had (\d+) requests at least: of fewer than (\d+) the P99 is the longest; raise prove\.seconds": (
        "最少的一轮仅 {0} 个请求：不足 {1} 个时 P99 即最大值；可增大 prove.seconds"
    ),
}

_ARTIFACTS: Mapping[str, str] = {
    r"the graph, for the compiler and ONNX Runtime": "供编译器与 ONNX Runtime 使用的图",
    r"inputs of the samples": "样本输入",
    r"the model's answers to them before the migration": "迁移前模型对样本的输出",
    r"inputs for quantization": "量化校准输入",
    r"tokens of each row, for the plan of gears": "每行 token 数，用于规划档位",
    r"tokens that the model has positions for": "模型位置编码支持的 token 数",
    r"labels in the order of the logits": "按 logits 顺序的标签",
    r"the model's tokenizer": "模型的分词器",
    r"the labelled set, as it was given": "所给的标注集",
    r"what PyTorch said": "PyTorch 日志",
    r"the settings of this stage, with which the command repeats it": "本阶段配置，可按复现命令重新执行",
    r"the compiled model": "编译后的模型",
    r"every operator of the graph, and whether the chip has it": "图中全部算子及芯片支持情况",
    r"the same as a table": "同上（表格）",
    r"the compiler's command": "编译命令",
    r"the compiler's whole output": "编译器完整输出",
    r"the shapes that were compiled, and what they waste": "编译的形状及填充浪费",
    r"what the OM says of itself": "OM 自述信息",
    r"errors of every layer, the worst first": "逐层误差（由差到好）",
    r"operators run alone with right inputs": "以正确输入单独运行的算子",
    r"the batch that layers are compared on": "逐层比对所用的批",
    r"the quantized graph, as ONNX Runtime reads it": "量化后的图（ONNX Runtime 可读）",
    r"which layers int8 hurts, and what was tried": "int8 敏感层及尝试过的方案",
    r"the graph as AMCT quantized it": "AMCT 量化的图",
    r"AMCT's settings": "AMCT 配置",
    r"float32, float16 and int8: accuracy, size, latency": "float32、float16 与 int8：精度、大小与时延",
    r"AMCT's output": "AMCT 日志",
    r"error by depth": "误差随深度的变化",
    r"latency of every gear": "各档位时延",
    r"ways to keep more in float32, with their accuracy and latency": "保持更多 float32 的方案及其精度与时延",
    r"mix list of the operators to keep in float32, for allow_mix_precision": (
        "保持 float32 的算子混合精度列表（用于 allow_mix_precision）"
    ),
    r"the layers to keep in float32, for --keep_dtype": "保持 float32 的层（用于 --keep_dtype）",
    r"the model repository": "模型仓库",
    r"what was asked and how far the answers agree": "请求内容与应答一致程度",
    r"what the server said meanwhile": "服务日志",
    r"what the new server said": "新服务日志",
    r"what the baseline's server said": "基线服务日志",
    r"the baseline's model repository; its ONNX is a link": "基线模型仓库（其中 ONNX 为链接）",
}

_CELLS: Mapping[str, str] = {
    r"one request against the baseline": "单条请求对比基线",
    r"single requests against the baseline": "逐条请求对比基线",
    r"requests of (\d+) rows": "每请求 {0} 行",
    r"(\d+) requests at once": "{0} 个请求并发",
    r"(.+) and (\d+) more": "{0} 等（另有 {1} 处）",
    r"the emulator's, (.+)": "仿真器的编译器，{0}",
    r"CANN (\S+), the table that npuserve ships: the list of supported ONNX operators in the operator reference of "
    r"CANN (\S+) \(commercial edition\), (\S+), (\S+); the opsets are those of the guide to ATC of CANN (\S+)": (
        "CANN {0}，npuserve 自带的表：CANN {1}（商用版）算子参考中的 ONNX 算子支持列表，{2}，{3}；"
        "算子集版本取自 CANN {4} 的 ATC 指南"
    ),
    r"CANN (\S+), the table that npuserve ships: (.+)": "CANN {0}，npuserve 自带的表：{1}",
    r"CANN (\S+), (.+)": "CANN {0}，{1}",
    r"(float16|bfloat16|int8): (\S+) of the largest value \((\S+)\), (\S+) of their root mean square \((\S+)\)": (
        "{0}：最大值（{2}）的 {1}，均方根（{4}）的 {3}"
    ),
    r"settings: (.+)": "配置：{0}",
}

# Of rewrites, by how they begin: the English has the details.
_REASONS: Mapping[str, str] = {
    r"the model's own mask is looked up position by position.*": (
        "模型自身的掩码按位置逐个查找（Range、GatherND、带 -3.4e38 的 Where），NPU 编译器会拒绝或放到主机 CPU 执行："
        "(1 - mask) * -10000 按头与行广播，对有效得分的影响相同"
    ),
    r"opset 20 has Gelu as one operator.*": "opset 20 起 Gelu 为单个算子：一次访存代替五到八次，半精度下只舍入一次",
    r"Gelu is an operator only from opset 20 on.*": (
        "Gelu 自 opset 20 起才是算子，ONNX Runtime 自有的 Gelu、FastGelu、BiasGelu 只有它认识：展开后各编译器均可接受"
    ),
    r"index_add_ becomes ScatterND.*": (
        "index_add_ 导出为 reduction=add 的 ScatterND，旧版编译器会当作普通写入，相同下标的行互相覆盖："
        "改为独热矩阵乘，顺序固定且在矩阵单元上执行"
    ),
    r"the chip has no 64-bit integer arithmetic.*": (
        "芯片没有 64 位整数运算：INT64 下标会被模拟或使算子落到主机 CPU。"
        "任何轴都不足 2^31 个元素，INT32 足以表示所有合法下标"
    ),
    r"spelled out, the squares of a normalization overflow.*": (
        "展开的归一化在半精度下偏差达到 256 时平方溢出、方差丢失精度：合成单个算子后以 float32 计算，且为一个芯片内核"
    ),
    r"LayerNormalization is an operator only from opset 17 on.*": (
        "LayerNormalization 自 opset 17 起才是算子，更早的编译器会拒绝：展开后均可接受"
    ),
    r"the compiler takes graphs up to a version.*": "编译器只接受到某一版本的 ONNX 算子集，后续改写也需要相应版本",
    r"a mask of -inf or -3\.4e38 is -inf in half precision.*": (
        "-inf 或 -3.4e38 的掩码在半精度下为 -inf：乘 0 得 NaN，全被掩盖的行（填充行）softmax 为 NaN。"
        "-10000 同样有效且有限"
    ),
}

_ADVICE: Mapping[str, str] = {
    r"look at smoke\.log for the case that differs": "在 smoke.log 中查看有差异的用例",
    r"requests are padded: a model that computes padded positions without its mask needs gears of fixed lengths": (
        "请求会被填充：若模型对填充位置不使用掩码，需采用固定长度的档位"
    ),
    r"with half precision raise serve\.max_batch_difference, as sums depend on the gear": (
        "半精度下可放宽 serve.max_batch_difference，因为求和次序取决于档位"
    ),
    r"compile with compile\.precision = must_keep_origin_dtype, and look at the layers of S3's report": (
        "以 compile.precision = must_keep_origin_dtype 编译，并查看 S3 的逐层误差"
    ),
    r"read (.+) for what the server refused": "在 {0} 中查看服务拒绝的原因",
    r"prove the speed on an NPU: the emulator rounds in software, so here a lower precision is slower": (
        "请在 NPU 上验证速度：仿真器以软件做舍入，低精度在此反而更慢"
    ),
    r"plan the gears for the true lengths: `npuserve plan`, then compile\.lengths and compile\.batches": (
        "按真实长度规划档位：先运行 `npuserve plan`，再设置 compile.lengths 与 compile.batches"
    ),
    r"measure longer on a machine with nothing else to do: prove\.seconds, prove\.rounds": (
        "在空闲机器上测量更久：prove.seconds、prove.rounds"
    ),
    r"serve this model by ONNX Runtime: backend = 'onnxruntime' under \[serve\]": (
        "该模型改由 ONNX Runtime 提供服务：[serve] 中设置 backend = 'onnxruntime'"
    ),
    r"fall back to ONNX Runtime for this model: serve\.backend = \"onnxruntime\"": (
        '该模型回退到 ONNX Runtime：serve.backend = "onnxruntime"'
    ),
    r"set compile\.precision = \"must_keep_origin_dtype\"": '设置 compile.precision = "must_keep_origin_dtype"',
    r"try another export\.opset": "尝试其他 export.opset",
    r"the model answers a padded row unlike the row alone: make it heed attention_mask": (
        "模型对填充行与单独一行的输出不同：使其遵守 attention_mask"
    ),
    r"the loaded model answers otherwise than the exported one: look at the layers of S3's report": (
        "加载后的模型与导出的模型输出不同：查看 S3 的逐层误差"
    ),
    r"where it answers well enough: golden_min_cosine and golden_max_abs_error in the config": (
        "若精度已可接受：在 config 中设置 golden_min_cosine 与 golden_max_abs_error"
    ),
    r"read (\S+)": "查看 {0}",
}

SENTENCES: Mapping[str, str] = {**_CHECKS, **_NOTES, **_ARTIFACTS, **_CELLS, **_REASONS, **_ADVICE}
