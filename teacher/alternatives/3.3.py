# right: loop_over_widths
# <answer 3.3a>
self.blocks = nn.ModuleList()
width = base_channels
for _ in range(num_blocks):
    self.blocks.append(UNetConvBlock(cin, width))
    cin, width = width, 2 * width
self.bottom = conv_relu_norm(cin, width)
self.cout = width
# </answer 3.3a>

# right: sequential_and_comprehension
# <answer 3.3a>
widths = [cin] + [base_channels << i for i in range(num_blocks)]
self.steps = nn.Sequential(*[UNetConvBlock(widths[i], widths[i + 1]) for i in range(num_blocks)])
self.cout = base_channels << num_blocks
self.bottom = conv_relu_norm(widths[-1], self.cout)
# </answer 3.3a>
# <answer 3.3b>
features = ()
for index in range(len(self.steps)):
    x, skip = self.steps[index](x)
    features = (*features, skip)
features = list(features)
bottom = self.bottom(x)
# </answer 3.3b>

# right: registered_by_name
# <answer 3.3a>
channels = cin
for i in range(num_blocks):
    self.add_module(f"down{i}", UNetConvBlock(channels, base_channels * 2**i))
    channels = base_channels * 2**i
self.num_blocks, self.cout = num_blocks, 2 * channels
self.bottom = nn.Sequential(
    nn.Conv2d(channels, self.cout, 3, padding=1, bias=False),
    nn.ReLU(),
    nn.BatchNorm2d(self.cout),
)
# </answer 3.3a>
# <answer 3.3b>
features = []
for i in range(self.num_blocks):
    x, skip = getattr(self, f"down{i}")(x)
    features += [skip]
bottom = self.bottom(x)
# </answer 3.3b>

# right: recursive_helper
# <answer 3.3b>
def descend(x: Tensor, blocks: list[nn.Module]) -> tuple[Tensor, list[Tensor]]:
    if not blocks:
        return self.bottom(x), []
    pooled, across = blocks[0](x)
    deepest, others = descend(pooled, blocks[1:])
    return deepest, [across, *others]


bottom, features = descend(x, list(self.blocks))
# </answer 3.3b>

# right: module_dict_and_pairwise
# <answer 3.3a>
from itertools import pairwise

widths = [cin, *(base_channels << i for i in range(num_blocks))]
self.levels = nn.ModuleDict()
for level, (above, below) in enumerate(pairwise(widths)):
    self.levels[str(level)] = UNetConvBlock(above, below)
*_, last = widths
self.cout = last * 2
self.bottom = conv_relu_norm(last, self.cout)
# </answer 3.3a>
# <answer 3.3b>
down = [x]
features = []
for level in self.levels.values():
    pooled, across = level(down[-1])
    down.append(pooled)
    features.append(across)
bottom = self.bottom(down[-1])
# </answer 3.3b>
