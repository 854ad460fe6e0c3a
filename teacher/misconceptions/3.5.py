# wrong: not_reversed
# says: the features are not reversed
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features):
    x = block(x, across)
logits = self.head(x)
# </answer 3.5b>

# wrong: bottom_missing
# says: the decoder's bottom
# <answer 3.5b>
x = bottom
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = self.head(x)
# </answer 3.5b>

# wrong: bottom_twice
# says: a block runs twice
# <answer 3.5b>
x = self.bottom(self.bottom(bottom))
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = self.head(x)
# </answer 3.5b>

# wrong: softmax
# says: softmax at the end
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = self.head(x).softmax(dim=1)
# </answer 3.5b>

# wrong: log_softmax
# says: log_softmax
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = F.log_softmax(self.head(x), dim=1)
# </answer 3.5b>

# wrong: sigmoid
# says: sigmoid at the end
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = self.head(x).sigmoid()
# </answer 3.5b>

# wrong: relu_at_the_end
# says: ReLU at the end
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = F.relu(self.head(x))
# </answer 3.5b>

# wrong: tanh
# says: tanh
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = torch.tanh(self.head(x))
# </answer 3.5b>

# wrong: argmax
# says: after argmax
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = self.head(x).argmax(dim=1)
# </answer 3.5b>

# wrong: softmax_over_the_batch
# says: expected:
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = self.head(x).softmax(dim=0)
# </answer 3.5b>

# wrong: head_missing
# says: is missing
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = x
# </answer 3.5b>

# wrong: head_three_by_three
# says: the kernel is 3x3
# <answer 3.5a>
self.bottom = conv_relu_norm(cin, cin)
self.blocks = nn.ModuleList()
for _ in range(num_blocks):
    self.blocks.append(UNetUpConvBlock(cin, cin // 2))
    cin = cin // 2
self.head = nn.Conv2d(cin, num_classes, kernel_size=3, padding=1)
# </answer 3.5a>

# wrong: head_with_norm
# says: one batch normalisation too many
# <answer 3.5a>
self.bottom = conv_relu_norm(cin, cin)
self.blocks = nn.ModuleList()
for _ in range(num_blocks):
    self.blocks.append(UNetUpConvBlock(cin, cin // 2))
    cin = cin // 2
self.head = nn.Sequential(
    nn.Conv2d(cin, num_classes, 1), nn.ReLU(), nn.BatchNorm2d(num_classes)
)
# </answer 3.5a>

# wrong: head_conv_relu_norm
# says: the kernel is 3x3
# <answer 3.5a>
self.bottom = conv_relu_norm(cin, cin)
self.blocks = nn.ModuleList()
for _ in range(num_blocks):
    self.blocks.append(UNetUpConvBlock(cin, cin // 2))
    cin = cin // 2
self.head = conv_relu_norm(cin, num_classes)
# </answer 3.5a>

# wrong: nineteen_classes
# says: expected:
# <answer 3.5a>
self.bottom = conv_relu_norm(cin, cin)
self.blocks = nn.ModuleList()
for _ in range(num_blocks):
    self.blocks.append(UNetUpConvBlock(cin, cin // 2))
    cin = cin // 2
self.head = nn.Conv2d(cin, 19, kernel_size=1)
# </answer 3.5a>

# wrong: one_class_more
# says: expected:
# <answer 3.5a>
self.bottom = conv_relu_norm(cin, cin)
self.blocks = nn.ModuleList()
for _ in range(num_blocks):
    self.blocks.append(UNetUpConvBlock(cin, cin // 2))
    cin = cin // 2
self.head = nn.Conv2d(cin, num_classes + 1, kernel_size=1)
# </answer 3.5a>

# wrong: plain_list
# says: use nn.ModuleList
# <answer 3.5a>
self.bottom = conv_relu_norm(cin, cin)
self.blocks = []
for _ in range(num_blocks):
    self.blocks.append(UNetUpConvBlock(cin, cin // 2))
    cin = cin // 2
self.head = nn.Conv2d(cin, num_classes, kernel_size=1)
# </answer 3.5a>

# wrong: four_blocks
# says: your code raised
# <answer 3.5a>
self.bottom = conv_relu_norm(cin, cin)
self.blocks = nn.ModuleList()
for _ in range(4):
    self.blocks.append(UNetUpConvBlock(cin, cin // 2))
    cin = cin // 2
self.head = nn.Conv2d(cin, num_classes, kernel_size=1)
# </answer 3.5a>
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = self.head(x)
# </answer 3.5b>

# wrong: one_block_missing
# says: one block up is missing
# <answer 3.5a>
self.bottom = conv_relu_norm(cin, cin)
self.blocks = nn.ModuleList()
for _ in range(num_blocks - 1):
    self.blocks.append(UNetUpConvBlock(cin, cin // 2))
    cin = cin // 2
self.head = nn.Conv2d(cin, num_classes, kernel_size=1)
# </answer 3.5a>
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = self.head(x)
# </answer 3.5b>

# wrong: deepest_for_all
# says: Sizes of tensors
# <answer 3.5b>
x = self.bottom(bottom)
for block in self.blocks:
    x = block(x, features[-1])
logits = self.head(x)
# </answer 3.5b>

# wrong: features_detached
# says: no detach()
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across.detach())
logits = self.head(x)
# </answer 3.5b>

# wrong: bottom_detached
# says: no detach()
# <answer 3.5b>
x = self.bottom(bottom.detach())
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = self.head(x)
# </answer 3.5b>

# wrong: features_ignored
# says: expected:
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, torch.zeros_like(across))
logits = self.head(x)
# </answer 3.5b>

# wrong: features_flipped
# says: mixed up
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across.flip(0))
logits = self.head(x)
# </answer 3.5b>

# wrong: in_place
# says: in place
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    across.relu_()
    x = block(x, across)
logits = self.head(x)
# </answer 3.5b>

# wrong: bottom_one_by_one
# says: the kernel is 1x1
# <answer 3.5a>
self.bottom = nn.Sequential(nn.Conv2d(cin, cin, 1), nn.ReLU(), nn.BatchNorm2d(cin))
self.blocks = nn.ModuleList()
for _ in range(num_blocks):
    self.blocks.append(UNetUpConvBlock(cin, cin // 2))
    cin = cin // 2
self.head = nn.Conv2d(cin, num_classes, kernel_size=1)
# </answer 3.5a>

# wrong: bottom_without_relu
# says: the ReLU is missing
# <answer 3.5a>
self.bottom = nn.Sequential(nn.Conv2d(cin, cin, 3, padding=1), nn.BatchNorm2d(cin))
self.blocks = nn.ModuleList()
for _ in range(num_blocks):
    self.blocks.append(UNetUpConvBlock(cin, cin // 2))
    cin = cin // 2
self.head = nn.Conv2d(cin, num_classes, kernel_size=1)
# </answer 3.5a>

# wrong: bottom_norm_first
# says: batch normalisation stands before the ReLU
# <answer 3.5a>
self.bottom = nn.Sequential(
    nn.Conv2d(cin, cin, 3, padding=1), nn.BatchNorm2d(cin), nn.ReLU()
)
self.blocks = nn.ModuleList()
for _ in range(num_blocks):
    self.blocks.append(UNetUpConvBlock(cin, cin // 2))
    cin = cin // 2
self.head = nn.Conv2d(cin, num_classes, kernel_size=1)
# </answer 3.5a>

# wrong: bottom_only_convolution
# says: batch normalisation is missing
# <answer 3.5a>
self.bottom = nn.Conv2d(cin, cin, 3, padding=1)
self.blocks = nn.ModuleList()
for _ in range(num_blocks):
    self.blocks.append(UNetUpConvBlock(cin, cin // 2))
    cin = cin // 2
self.head = nn.Conv2d(cin, num_classes, kernel_size=1)
# </answer 3.5a>

# wrong: relu_before_the_head
# says: before the last convolution
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = self.head(F.relu(x))
# </answer 3.5b>

# wrong: dropout
# says: dropout
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = self.head(F.dropout(x, 0.5, self.training))
# </answer 3.5b>

# wrong: no_grad
# says: the way is cut
# <answer 3.5b>
with torch.no_grad():
    x = self.bottom(bottom)
    for block, across in zip(self.blocks, features[::-1]):
        x = block(x, across)
    logits = self.head(x)
# </answer 3.5b>

# wrong: head_frozen
# says: requires_grad=False
# <answer 3.5a>
self.bottom = conv_relu_norm(cin, cin)
self.blocks = nn.ModuleList()
for _ in range(num_blocks):
    self.blocks.append(UNetUpConvBlock(cin, cin // 2))
    cin = cin // 2
self.head = nn.Conv2d(cin, num_classes, kernel_size=1)
self.head.requires_grad_(False)
# </answer 3.5a>

# wrong: head_before_the_last_block
# says: expected
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = F.interpolate(self.head(F.avg_pool2d(x, 2)), scale_factor=2)
# </answer 3.5b>

# wrong: enlarged_at_the_end
# says: expected
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = F.interpolate(self.head(x), scale_factor=2)
# </answer 3.5b>

# wrong: residual_between_blocks
# says: expected:
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across) + across
logits = self.head(x)
# </answer 3.5b>

# wrong: widths_of_64
# says: expected
# <answer 3.5a>
self.bottom = conv_relu_norm(cin, cin)
self.blocks = nn.ModuleList(
    UNetUpConvBlock(1024 // 2**i, 512 // 2**i) for i in range(num_blocks)
)
self.head = nn.Conv2d(64, num_classes, 1)
# </answer 3.5a>

# wrong: one_block_twice
# says: expected
# <answer 3.5a>
self.bottom = conv_relu_norm(cin, cin)
block = UNetUpConvBlock(cin, cin // 2)
self.blocks = nn.ModuleList([block] * num_blocks)
self.head = nn.Conv2d(cin // 2**num_blocks, num_classes, 1)
# </answer 3.5a>

# wrong: classes_shifted
# says: expected:
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = self.head(x) - self.head(x).mean(dim=1, keepdim=True)
# </answer 3.5b>

# wrong: logits_scaled
# says: expected:
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = self.head(x) / 10
# </answer 3.5b>

# wrong: bottom_at_the_end_unused
# says: the decoder's bottom
# <answer 3.5b>
x = bottom
for i, block in enumerate(self.blocks):
    x = block(x, features[len(features) - 1 - i])
logits = self.head(x)
# </answer 3.5b>

# wrong: deepest_from_pooled
# says: stands there instead
# <answer 3.5b>
if len(features) > 1:
    features = [*features[:-1], F.max_pool2d(features[-2], 2).repeat(1, 2, 1, 1)]
x = self.bottom(bottom)
for block, across in zip(self.blocks, reversed(features)):
    x = block(x, across)
logits = self.head(x)
# </answer 3.5b>

# wrong: residual_bottom
# unlisted: residual | added
# <answer 3.5b>
x = bottom + self.bottom(bottom)
for block, across in zip(self.blocks, reversed(features)):
    x = block(x, across)
logits = self.head(x)
# </answer 3.5b>
