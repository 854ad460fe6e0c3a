# right: without_gradients
# <answer 7.1>
network.eval()
with torch.inference_mode(False), torch.no_grad():
    program = torch.onnx.export(
        network,
        (image,),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
        dynamo=True,
        verbose=False,
    )
# </answer 7.1>

# right: dynamic_dims
# <answer 7.1>
from torch.export import Dim

axes = {0: Dim("batch"), 2: Dim("height"), 3: Dim("width")}
options = {"input_names": ["image"], "output_names": ["logits"], "dynamo": True}
program = torch.onnx.export(
    network.train(False), args=(image,), dynamic_shapes=[axes], verbose=False, **options
)
# </answer 7.1>

# right: automatic_dims
# <answer 7.1>
from torch.export import Dim

network.eval()
for parameter in network.parameters():
    parameter.requires_grad_(False)
example = torch.rand(3, 3, 4 * model.stride, 2 * model.stride)
program = torch.onnx.export(
    network,
    (example,),
    dynamo=True,
    verbose=False,
    input_names=("image",),
    output_names=("logits",),
    dynamic_shapes=({0: Dim.DYNAMIC, 1: None, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC},),
)
# </answer 7.1>

# right: exported_program_first
# <answer 7.1>
from torch.export import Dim, export

shapes = ({0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO},)
with torch.no_grad():
    graph = export(network.eval(), (image,), dynamic_shapes=shapes)
    program = torch.onnx.export(
        graph, input_names=["image"], output_names=["logits"], dynamo=True, verbose=False
    )
# </answer 7.1>
