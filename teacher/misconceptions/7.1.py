# wrong: training_mode
# says: exported in training mode
# <answer 7.1>
program = torch.onnx.export(
    network.train(),
    (image,),
    input_names=["image"],
    output_names=["logits"],
    dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
    dynamo=True,
    verbose=False,
)
# </answer 7.1>

# wrong: mode_as_given
# says: exported in training mode
# <answer 7.1>
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

# wrong: fixed_sizes
# says: fixed batch and height and width
# <answer 7.1>
program = torch.onnx.export(
    network.eval(),
    (image,),
    input_names=["image"],
    output_names=["logits"],
    dynamo=True,
    verbose=False,
)
# </answer 7.1>

# wrong: fixed_batch
# says: fixed batch
# <answer 7.1>
program = torch.onnx.export(
    network.eval(),
    (image,),
    input_names=["image"],
    output_names=["logits"],
    dynamic_shapes=({2: "height", 3: "width"},),
    dynamo=True,
    verbose=False,
)
# </answer 7.1>

# wrong: fixed_height_and_width
# says: fixed height and width
# <answer 7.1>
program = torch.onnx.export(
    network.eval(),
    (image,),
    input_names=["image"],
    output_names=["logits"],
    dynamic_shapes=({0: "batch"},),
    dynamo=True,
    verbose=False,
)
# </answer 7.1>

# wrong: fixed_width
# says: fixed width
# <answer 7.1>
program = torch.onnx.export(
    network.eval(),
    (image,),
    input_names=["image"],
    output_names=["logits"],
    dynamic_shapes=({0: "batch", 2: "height"},),
    dynamo=True,
    verbose=False,
)
# </answer 7.1>

# wrong: names_swapped
# says: the names are swapped
# <answer 7.1>
program = torch.onnx.export(
    network.eval(),
    (image,),
    input_names=["logits"],
    output_names=["image"],
    dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
    dynamo=True,
    verbose=False,
)
# </answer 7.1>

# wrong: names_missing
# says: one input, called image
# <answer 7.1>
program = torch.onnx.export(
    network.eval(),
    (image,),
    dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
    dynamo=True,
    verbose=False,
)
# </answer 7.1>

# wrong: output_unnamed
# says: one output, called logits
# <answer 7.1>
program = torch.onnx.export(
    network.eval(),
    (image,),
    input_names=["image"],
    dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
    dynamo=True,
    verbose=False,
)
# </answer 7.1>

# wrong: input_called_x
# says: one input, called image
# <answer 7.1>
program = torch.onnx.export(
    network.eval(),
    (image,),
    input_names=["x"],
    output_names=["logits"],
    dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
    dynamo=True,
    verbose=False,
)
# </answer 7.1>

# wrong: softmax_added
# says: a softmax was added
# <answer 7.1>
program = torch.onnx.export(
    torch.nn.Sequential(network, torch.nn.Softmax(dim=1)).eval(),
    (image,),
    input_names=["image"],
    output_names=["logits"],
    dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
    dynamo=True,
    verbose=False,
)
# </answer 7.1>

# wrong: log_softmax_added
# says: a softmax was added
# <answer 7.1>
program = torch.onnx.export(
    torch.nn.Sequential(network, torch.nn.LogSoftmax(dim=1)).eval(),
    (image,),
    input_names=["image"],
    output_names=["logits"],
    dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
    dynamo=True,
    verbose=False,
)
# </answer 7.1>

# wrong: argmax_added
# says: argmax
# <answer 7.1>
class Labels(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x).argmax(dim=1)


program = torch.onnx.export(
    Labels().eval(),
    (image,),
    input_names=["image"],
    output_names=["logits"],
    dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
    dynamo=True,
    verbose=False,
)
# </answer 7.1>

# wrong: model_put_in_eval
# says: on the model itself
# <answer 7.1>
program = torch.onnx.export(
    model.eval(),
    (image,),
    input_names=["image"],
    output_names=["logits"],
    dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
    dynamo=True,
    verbose=False,
)
# </answer 7.1>

# wrong: model_in_training
# says: exported in training mode
# <answer 7.1>
program = torch.onnx.export(
    model,
    (image,),
    input_names=["image"],
    output_names=["logits"],
    dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
    dynamo=True,
    verbose=False,
)
# </answer 7.1>

# wrong: same_size_for_all
# says: fixed height
# <answer 7.1>
image = torch.zeros(2, 3, 16, 24)
program = torch.onnx.export(
    network.eval(),
    (image,),
    input_names=["image"],
    output_names=["logits"],
    dynamic_shapes=({0: "batch"},),
    dynamo=True,
    verbose=False,
)
# </answer 7.1>

# wrong: half_precision
# says: float32
# <answer 7.1>
program = torch.onnx.export(
    network.half().eval(),
    (image.half(),),
    input_names=["image"],
    output_names=["logits"],
    dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
    dynamo=True,
    verbose=False,
)
# </answer 7.1>

# wrong: part_of_the_network_in_training
# says: exported in training mode
# <answer 7.1>
network.norm.eval()
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

# wrong: one_name_for_both_sides
# says: every image is square
# <answer 7.1>
program = torch.onnx.export(
    network.eval(),
    (image,),
    input_names=["image"],
    output_names=["logits"],
    dynamic_shapes=({0: "batch", 2: "side", 3: "side"},),
    dynamo=True,
    verbose=False,
)
# </answer 7.1>
