# right: by_index
# <answer 3.5a>
self.bottom = conv_relu_norm(cin, cin)
self.blocks = nn.ModuleList()
for _ in range(num_blocks):
    self.blocks.append(UNetUpConvBlock(cin, cin // 2))
    cin = cin // 2
self.head = nn.Conv2d(cin, num_classes, kernel_size=1)
# </answer 3.5a>
# <answer 3.5b>
x = self.bottom(bottom)
for i in range(len(self.blocks)):
    x = self.blocks[i](x, features[-1 - i])
logits = self.head(x)
# </answer 3.5b>

# right: popping
# <answer 3.5b>
x = self.bottom(bottom)
for block in self.blocks:
    x = block(x, features.pop())
logits = self.head(x)
# </answer 3.5b>

# right: blocks_stored_upside_down
# <answer 3.5a>
self.head = nn.Conv2d(cin >> num_blocks, num_classes, 1, bias=False)
widths = [cin >> i for i in range(num_blocks + 1)][::-1]
self.up = nn.ModuleList(UNetUpConvBlock(widths[i + 1], widths[i]) for i in range(num_blocks))
self.deep = nn.Sequential(
    nn.Conv2d(cin, cin, 3, padding=1, bias=False), nn.ReLU(), nn.BatchNorm2d(cin)
)
# </answer 3.5a>
# <answer 3.5b>
logits = self.deep(bottom)
for level in reversed(range(len(self.up))):
    logits = self.up[level](logits, features[level])
logits = self.head(logits)
# </answer 3.5b>

# right: reduced
# <answer 3.5b>
from functools import reduce

pairs = list(zip(self.blocks, reversed(features)))
logits = self.head(reduce(lambda x, pair: pair[0](x, pair[1]), pairs, self.bottom(bottom)))
# </answer 3.5b>

# right: functional_head
# <answer 3.5a>
self.bottom = conv_relu_norm(cin, cin)
self.blocks = nn.ModuleList()
for _ in range(num_blocks):
    self.blocks.append(UNetUpConvBlock(cin, cin // 2))
    cin = cin // 2
self.weight = nn.Parameter(torch.randn(num_classes, cin, 1, 1) / cin**0.5)
# </answer 3.5a>
# <answer 3.5b>
x = self.bottom(bottom)
for block, across in zip(self.blocks, features[::-1]):
    x = block(x, across)
logits = F.conv2d(x, self.weight)
# </answer 3.5b>

# right: recursion
# <answer 3.5b>
def ascend(level: int) -> Tensor:
    if level == len(features):
        return self.bottom(bottom)
    return self.blocks[len(features) - 1 - level](ascend(level + 1), features[level])


logits = self.head(ascend(0))
# </answer 3.5b>
