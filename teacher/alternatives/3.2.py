# right: functional_pooling
# <answer 3.2a>
self.block1 = conv_relu_norm(cin, cout)
self.block2 = conv_relu_norm(cout, cout)
# </answer 3.2a>
# <answer 3.2b>
x = self.block1(x)
features = self.block2(x)
pooled = F.max_pool2d(features, kernel_size=2, stride=2)
# </answer 3.2b>

# right: other_registration
# <answer 3.2a>
self.block3 = nn.MaxPool2d(2, 2)
self.block2 = conv_relu_norm(cout, cout)
self.block1 = conv_relu_norm(cin, cout)
# </answer 3.2a>
# <answer 3.2b>
features = self.block1(x)
features = self.block2(features)
pooled = self.block3(features)
# </answer 3.2b>

# right: written_out
# <answer 3.2a>
def unit(above: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(above, cout, 3, padding=1, bias=False), nn.ReLU(), nn.BatchNorm2d(cout)
    )


self.both = nn.Sequential(unit(cin), unit(cout))
# </answer 3.2a>
# <answer 3.2b>
features = self.both(x)
pooled = features.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).amax(dim=(3, 5))
# </answer 3.2b>

# right: adaptive_pooling
# <answer 3.2b>
features = self.block2(self.block1(x))
pooled = F.adaptive_max_pool2d(features, (x.shape[2] // 2, x.shape[3] // 2))
# </answer 3.2b>

# right: functional_style
# <answer 3.2a>
self.conv1 = nn.Conv2d(cin, cout, 3, padding=1)
self.norm1 = nn.BatchNorm2d(cout)
self.conv2 = nn.Conv2d(cout, cout, 3, padding=1)
self.norm2 = nn.BatchNorm2d(cout)
# </answer 3.2a>
# <answer 3.2b>
x = self.norm1(F.relu(self.conv1(x)))
features = self.norm2(F.relu(self.conv2(x)))
pooled = F.max_pool2d(features, 2)
# </answer 3.2b>

# right: largest_of_four_slices
# <answer 3.2b>
features = self.block2(self.block1(x))
upper = torch.maximum(features[:, :, ::2, ::2], features[:, :, ::2, 1::2])
lower = torch.maximum(features[:, :, 1::2, ::2], features[:, :, 1::2, 1::2])
pooled = torch.maximum(upper, lower)
# </answer 3.2b>
