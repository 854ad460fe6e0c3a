# wrong: plain_list
# says: use nn.ModuleList
# <answer 3.3a>
self.blocks = []
width = base_channels
for _ in range(num_blocks):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = conv_relu_norm(cin, width)
self.cout = width
# </answer 3.3a>

# wrong: features_reversed
# says: the deepest features come first
# <answer 3.3b>
features = []
for block in self.blocks:
    x, across = block(x)
    features.insert(0, across)
bottom = self.bottom(x)
# </answer 3.3b>

# wrong: features_pooled
# says: after the pooling
# <answer 3.3b>
features = []
for block in self.blocks:
    x, across = block(x)
    features.append(x)
bottom = self.bottom(x)
# </answer 3.3b>

# wrong: way_down_not_pooled
# says: 1/2^i of the size
# <answer 3.3b>
features = []
for block in self.blocks:
    _, across = block(x)
    x = across
    features.append(across)
bottom = self.bottom(x)
# </answer 3.3b>

# wrong: outputs_swapped
# says: expected:
# <answer 3.3b>
features = []
for block in self.blocks:
    across, x = block(x)
    features.append(across)
bottom = self.bottom(x)
# </answer 3.3b>

# wrong: bottom_of_features
# says: takes what goes down
# <answer 3.3b>
features = []
for block in self.blocks:
    x, across = block(x)
    features.append(across)
bottom = self.bottom(features[-1])
# </answer 3.3b>

# wrong: bottom_missing
# says: doubles the channels
# <answer 3.3b>
features = []
for block in self.blocks:
    x, across = block(x)
    features.append(across)
bottom = x
# </answer 3.3b>

# wrong: bottom_among_features
# says: the bottom stands among the features
# <answer 3.3b>
features = []
for block in self.blocks:
    x, across = block(x)
    features.append(across)
bottom = self.bottom(x)
features.append(bottom)
# </answer 3.3b>

# wrong: cout_of_last_block
# says: channels of the last block
# <answer 3.3a>
self.blocks = nn.ModuleList()
width = base_channels
for _ in range(num_blocks):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = conv_relu_norm(cin, width)
self.cout = cin
# </answer 3.3a>

# wrong: cout_twice
# says: twice the bottom's
# <answer 3.3a>
self.blocks = nn.ModuleList()
width = base_channels
for _ in range(num_blocks):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = conv_relu_norm(cin, width)
self.cout = 2 * width
# </answer 3.3a>

# wrong: cout_missing
# says: no attribute cout
# <answer 3.3a>
self.blocks = nn.ModuleList()
width = base_channels
for _ in range(num_blocks):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = conv_relu_norm(cin, width)
self.channels = width
# </answer 3.3a>

# wrong: base_64
# says: expected:
# <answer 3.3a>
self.blocks = nn.ModuleList()
width = 64
for _ in range(num_blocks):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = conv_relu_norm(cin, width)
self.cout = width
# </answer 3.3a>

# wrong: picture_of_3
# says: channels
# <answer 3.3a>
self.blocks = nn.ModuleList()
cin = 3
width = base_channels
for _ in range(num_blocks):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = conv_relu_norm(cin, width)
self.cout = width
# </answer 3.3a>

# wrong: four_blocks
# says: expected:
# <answer 3.3a>
self.blocks = nn.ModuleList()
width = base_channels
for _ in range(4):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = conv_relu_norm(cin, width)
self.cout = width
# </answer 3.3a>

# wrong: widths_constant
# says: base * 2^i channels
# <answer 3.3a>
widths = [base_channels] * (num_blocks + 1)
self.blocks = nn.ModuleList(
    UNetConvBlock(above, below) for above, below in zip([cin, *widths[:-2]], widths[:-1])
)
self.bottom = conv_relu_norm(widths[-1], 2 * widths[-1])
self.cout = 2 * widths[-1]
# </answer 3.3a>

# wrong: widths_linear
# says: base * 2^i channels
# <answer 3.3a>
widths = [base_channels * (i + 1) for i in range(num_blocks + 1)]
self.blocks = nn.ModuleList(
    UNetConvBlock(above, below) for above, below in zip([cin, *widths[:-2]], widths[:-1])
)
self.bottom = conv_relu_norm(widths[-2], widths[-1])
self.cout = widths[-1]
# </answer 3.3a>

# wrong: widths_one_late
# says: twice the bottom's channels
# <answer 3.3a>
self.blocks = nn.ModuleList()
width = 2 * base_channels
for _ in range(num_blocks):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = conv_relu_norm(cin, width)
self.cout = width
# </answer 3.3a>

# wrong: one_block_too_many
# says: features for
# <answer 3.3a>
self.blocks = nn.ModuleList()
width = base_channels
for _ in range(num_blocks + 1):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = conv_relu_norm(cin, width)
self.cout = width
# </answer 3.3a>

# wrong: one_block_too_few
# says: the channels of the last block
# <answer 3.3a>
self.blocks = nn.ModuleList()
width = base_channels
for _ in range(num_blocks - 1):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = conv_relu_norm(cin, width)
self.cout = width
# </answer 3.3a>

# wrong: bottom_keeps_channels
# says: doubles the channels
# <answer 3.3a>
self.blocks = nn.ModuleList()
width = base_channels
for _ in range(num_blocks):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = conv_relu_norm(cin, cin)
self.cout = width
# </answer 3.3a>

# wrong: bottom_one_by_one
# says: the kernel is 1x1
# <answer 3.3a>
self.blocks = nn.ModuleList()
width = base_channels
for _ in range(num_blocks):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = nn.Sequential(
    nn.Conv2d(cin, width, 1), nn.ReLU(), nn.BatchNorm2d(width)
)
self.cout = width
# </answer 3.3a>

# wrong: bottom_without_relu
# says: the ReLU is missing
# <answer 3.3a>
self.blocks = nn.ModuleList()
width = base_channels
for _ in range(num_blocks):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = nn.Sequential(
    nn.Conv2d(cin, width, 3, padding=1), nn.BatchNorm2d(width)
)
self.cout = width
# </answer 3.3a>

# wrong: bottom_only_convolution
# says: batch normalisation is missing
# <answer 3.3a>
self.blocks = nn.ModuleList()
width = base_channels
for _ in range(num_blocks):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = nn.Conv2d(cin, width, 3, padding=1)
self.cout = width
# </answer 3.3a>

# wrong: bottom_block
# says: one convolution too many
# <answer 3.3a>
self.blocks = nn.ModuleList()
width = base_channels
for _ in range(num_blocks):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = nn.Sequential(
    conv_relu_norm(cin, width), conv_relu_norm(width, width)
)
self.cout = width
# </answer 3.3a>

# wrong: bottom_pooled
# says: a pooling after the bottom
# <answer 3.3a>
self.blocks = nn.ModuleList()
width = base_channels
for _ in range(num_blocks):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = UNetConvBlock(cin, width)
self.cout = width
# </answer 3.3a>
# <answer 3.3b>
features = []
for block in self.blocks:
    x, across = block(x)
    features.append(across)
bottom, _ = self.bottom(x)
# </answer 3.3b>

# wrong: features_detached
# says: the way is cut
# <answer 3.3b>
features = []
for block in self.blocks:
    x, across = block(x)
    features.append(across.detach())
bottom = self.bottom(x)
# </answer 3.3b>

# wrong: way_down_detached
# says: gradient of bottom reaches x
# <answer 3.3b>
features = []
for block in self.blocks:
    x, across = block(x.detach())
    features.append(across)
bottom = self.bottom(x)
# </answer 3.3b>

# wrong: list_in_self
# says: the list is kept in self
# <answer 3.3a>
self.blocks = nn.ModuleList()
width = base_channels
for _ in range(num_blocks):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = conv_relu_norm(cin, width)
self.cout = width
self.features = []
# </answer 3.3a>
# <answer 3.3b>
features = self.features
for block in self.blocks:
    x, across = block(x)
    features.append(across)
bottom = self.bottom(x)
# </answer 3.3b>

# wrong: one_block_for_all
# says: channels
# <answer 3.3b>
features = []
for _ in self.blocks:
    x, across = self.blocks[0](x)
    features.append(across)
bottom = self.bottom(x)
# </answer 3.3b>

# wrong: last_block_unused
# says: channels
# <answer 3.3b>
features = []
for block in self.blocks[:-1]:
    x, across = block(x)
    features.append(across)
bottom = self.bottom(x)
# </answer 3.3b>

# wrong: features_stacked
# says: features: a list
# <answer 3.3b>
features = []
for block in self.blocks:
    x, across = block(x)
    features.append(across)
bottom = self.bottom(x)
features = features[0] if len(features) == 1 else torch.cat([f.flatten() for f in features])
# </answer 3.3b>

# wrong: dropout_at_the_bottom
# says: dropout
# <answer 3.3b>
features = []
for block in self.blocks:
    x, across = block(x)
    features.append(across)
bottom = F.dropout(self.bottom(x), 0.5, self.training)
# </answer 3.3b>

# wrong: last_feature_only
# says: base * 2^i channels
# <answer 3.3b>
features = []
for block in self.blocks:
    x, across = block(x)
    features = [across]
bottom = self.bottom(x)
# </answer 3.3b>

# wrong: pooled_twice
# says: Output size is too small
# <answer 3.3b>
features = []
for block in self.blocks:
    x, across = block(x)
    features.append(across)
    x = F.max_pool2d(x, 2)
bottom = self.bottom(x)
# </answer 3.3b>

# wrong: averaged_way_down
# says: avg_pool2d
# <answer 3.3b>
features = []
for block in self.blocks:
    _, across = block(x)
    x = F.avg_pool2d(across, 2)
    features.append(across)
bottom = self.bottom(x)
# </answer 3.3b>

# wrong: relu_in_place_later
# says: second ReLU
# <answer 3.3b>
features = []
for block in self.blocks:
    x, across = block(x)
    features.append(across)
bottom = self.bottom(x)
for each in features:
    each.relu_()
# </answer 3.3b>

# wrong: blocks_in_a_dict
# says: use nn.ModuleList
# <answer 3.3a>
self.blocks = {}
width = base_channels
for i in range(num_blocks):
    self.blocks[i] = UNetConvBlock(cin, width)
    cin, width = width, 2 * width
self.bottom = conv_relu_norm(cin, width)
self.cout = width
# </answer 3.3a>
# <answer 3.3b>
features = []
for block in self.blocks.values():
    x, across = block(x)
    features.append(across)
bottom = self.bottom(x)
# </answer 3.3b>

# wrong: pyramid_of_the_first
# says: its channels 2 times
# <answer 3.3b>
features = []
for block in self.blocks:
    x, across = block(x)
    if features:
        across = F.max_pool2d(features[-1], 2).repeat(1, 2, 1, 1)
    features.append(across)
bottom = self.bottom(x)
# </answer 3.3b>

# wrong: pooled_enlarged
# says: enlarged again
# <answer 3.3b>
features = []
for block in self.blocks:
    x, _ = block(x)
    features.append(F.interpolate(x, scale_factor=2))
bottom = self.bottom(x)
# </answer 3.3b>

# wrong: at_most_512
# says: 64 * 2^4 = 1024
# <answer 3.3a>
widths = [min(base_channels * 2**i, 512) for i in range(num_blocks + 1)]
self.blocks = nn.ModuleList()
for width in widths[:-1]:
    self.blocks.append(UNetConvBlock(cin, width))
    cin = width
self.bottom = conv_relu_norm(cin, widths[-1])
self.cout = widths[-1]
# </answer 3.3a>

# wrong: divided_by_255
# unlisted: x | divided
# <answer 3.3b>
x = x / 255
features = []
for block in self.blocks:
    x, across = block(x)
    features.append(across)
bottom = self.bottom(x)
# </answer 3.3b>

# wrong: inputs_kept
# unlisted: goes into the blocks
# <answer 3.3b>
features = []
for block in self.blocks:
    features.append(x)
    x, across = block(x)
bottom = self.bottom(x)
# </answer 3.3b>
