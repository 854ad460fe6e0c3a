# wrong: features_after_pooling
# says: after the pooling
# <answer 3.2b>
x = self.block2(self.block1(x))
pooled = self.block3(x)
features = pooled
# </answer 3.2b>

# wrong: features_from_block1
# says: from block1
# <answer 3.2b>
features = self.block1(x)
pooled = self.block3(self.block2(features))
# </answer 3.2b>

# wrong: both_from_block1
# says: built but not used
# <answer 3.2b>
features = self.block1(x)
pooled = self.block3(features)
# </answer 3.2b>

# wrong: outputs_swapped
# says: the two are swapped
# <answer 3.2b>
pooled = self.block2(self.block1(x))
features = self.block3(pooled)
# </answer 3.2b>

# wrong: pooled_from_block1
# says: applied to block1
# <answer 3.2b>
x = self.block1(x)
features = self.block2(x)
pooled = self.block3(x)
# </answer 3.2b>

# wrong: average_pooling
# says: average pooling
# <answer 3.2a>
self.block1 = conv_relu_norm(cin, cout)
self.block2 = conv_relu_norm(cout, cout)
self.block3 = nn.AvgPool2d(2)
# </answer 3.2a>

# wrong: pooling_stride_1
# says: stride of 1
# <answer 3.2a>
self.block1 = conv_relu_norm(cin, cout)
self.block2 = conv_relu_norm(cout, cout)
self.block3 = nn.MaxPool2d(2, stride=1)
# </answer 3.2a>

# wrong: pooling_3
# says: computed from your weights
# <answer 3.2a>
self.block1 = conv_relu_norm(cin, cout)
self.block2 = conv_relu_norm(cout, cout)
self.block3 = nn.MaxPool2d(3, stride=2, padding=1)
# </answer 3.2a>

# wrong: pooling_4
# says: pooled twice, or by 4x4
# <answer 3.2a>
self.block1 = conv_relu_norm(cin, cout)
self.block2 = conv_relu_norm(cout, cout)
self.block3 = nn.MaxPool2d(4)
# </answer 3.2a>

# wrong: not_pooled
# says: not pooled
# <answer 3.2b>
features = self.block2(self.block1(x))
pooled = features
# </answer 3.2b>

# wrong: block2_takes_cin
# says: to have 3 channels
# <answer 3.2a>
self.block1 = conv_relu_norm(cin, cout)
self.block2 = conv_relu_norm(cin, cout)
self.block3 = nn.MaxPool2d(2)
# </answer 3.2a>

# wrong: block1_twice
# says: expected input
# <answer 3.2b>
features = self.block1(self.block1(x))
pooled = self.block3(features)
# </answer 3.2b>

# wrong: block2_is_block1
# says: channels
# <answer 3.2a>
self.block1 = conv_relu_norm(cin, cout)
self.block2 = self.block1
self.block3 = nn.MaxPool2d(2)
# </answer 3.2a>

# wrong: block2_twice
# says: a block runs twice
# <answer 3.2b>
features = self.block2(self.block2(self.block1(x)))
pooled = self.block3(features)
# </answer 3.2b>

# wrong: hard_coded_64
# says: expected:
# <answer 3.2a>
self.block1 = conv_relu_norm(cin, 64)
self.block2 = conv_relu_norm(64, 64)
self.block3 = nn.MaxPool2d(2)
# </answer 3.2a>

# wrong: hard_coded_picture
# says: channels
# <answer 3.2a>
self.block1 = conv_relu_norm(3, cout)
self.block2 = conv_relu_norm(cout, cout)
self.block3 = nn.MaxPool2d(2)
# </answer 3.2a>

# wrong: residual
# says: residual
# <answer 3.2b>
x = self.block1(x)
features = x + self.block2(x)
pooled = self.block3(features)
# </answer 3.2b>

# wrong: features_detached
# says: the way is cut
# <answer 3.2b>
features = self.block2(self.block1(x))
pooled = self.block3(features)
features = features.detach()
# </answer 3.2b>

# wrong: pooled_detached
# says: the way is cut
# <answer 3.2b>
features = self.block2(self.block1(x))
pooled = self.block3(features.detach())
# </answer 3.2b>

# wrong: no_grad
# says: the way is cut
# <answer 3.2b>
with torch.no_grad():
    features = self.block2(self.block1(x))
    pooled = self.block3(features)
# </answer 3.2b>

# wrong: layers_in_a_list
# says: use nn.ModuleList
# <answer 3.2a>
self.layers = [conv_relu_norm(cin, cout), conv_relu_norm(cout, cout)]
self.block3 = nn.MaxPool2d(2)
# </answer 3.2a>
# <answer 3.2b>
features = self.layers[1](self.layers[0](x))
pooled = self.block3(features)
# </answer 3.2b>

# wrong: conv_without_relu
# says: the ReLU is missing
# <answer 3.2a>
def unit(above, below):
    return nn.Sequential(nn.Conv2d(above, below, 3, padding=1), nn.BatchNorm2d(below))


self.block1, self.block2 = unit(cin, cout), unit(cout, cout)
self.block3 = nn.MaxPool2d(2)
# </answer 3.2a>

# wrong: norm_before_relu
# says: batch normalisation stands before the ReLU
# <answer 3.2a>
def unit(above, below):
    return nn.Sequential(
        nn.Conv2d(above, below, 3, padding=1), nn.BatchNorm2d(below), nn.ReLU()
    )


self.block1, self.block2 = unit(cin, cout), unit(cout, cout)
self.block3 = nn.MaxPool2d(2)
# </answer 3.2a>

# wrong: norm_missing
# says: batch normalisation is missing
# <answer 3.2a>
def unit(above, below):
    return nn.Sequential(nn.Conv2d(above, below, 3, padding=1), nn.ReLU())


self.block1, self.block2 = unit(cin, cout), unit(cout, cout)
self.block3 = nn.MaxPool2d(2)
# </answer 3.2a>

# wrong: only_second_norm
# says: batch normalisation is missing
# <answer 3.2a>
self.block1 = nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1), nn.ReLU())
self.block2 = conv_relu_norm(cout, cout)
self.block3 = nn.MaxPool2d(2)
# </answer 3.2a>

# wrong: one_relu
# says: the first ReLU is missing
# <answer 3.2a>
self.block1 = nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1), nn.BatchNorm2d(cout))
self.block2 = conv_relu_norm(cout, cout)
self.block3 = nn.MaxPool2d(2)
# </answer 3.2a>

# wrong: dropout
# says: dropout
# <answer 3.2a>
self.block1 = conv_relu_norm(cin, cout)
self.block2 = nn.Sequential(conv_relu_norm(cout, cout), nn.Dropout(0.1))
self.block3 = nn.MaxPool2d(2)
# </answer 3.2a>

# wrong: built_but_unused
# says: built but not used
# <answer 3.2b>
features = self.block1(x)
pooled = F.max_pool2d(features, 2)
# </answer 3.2b>

# wrong: one_by_one
# says: the kernel is 1x1
# <answer 3.2a>
self.block1 = conv_relu_norm(cin, cout)
self.block2 = nn.Sequential(nn.Conv2d(cout, cout, 1), nn.ReLU(), nn.BatchNorm2d(cout))
self.block3 = nn.MaxPool2d(2)
# </answer 3.2a>

# wrong: always_evaluating
# says: in training mode
# <answer 3.2b>
self.eval()
features = self.block2(self.block1(x))
pooled = self.block3(features)
# </answer 3.2b>

# wrong: strided_convolution
# says: not pooled
# <answer 3.2b>
features = self.block2(self.block1(x))
pooled = features[:, :, ::1]
# </answer 3.2b>

# wrong: subsampled
# says: every second pixel
# <answer 3.2b>
features = self.block2(self.block1(x))
pooled = features[:, :, ::2, ::2]
# </answer 3.2b>

# wrong: interpolated
# says: average pooling
# <answer 3.2b>
features = self.block2(self.block1(x))
pooled = F.interpolate(features, scale_factor=0.5, mode="bilinear")
# </answer 3.2b>

# wrong: enlarged_again
# says: enlarged again
# <answer 3.2b>
pooled = self.block3(self.block2(self.block1(x)))
features = F.interpolate(pooled, scale_factor=2)
# </answer 3.2b>

# wrong: relu_on_features
# says: second ReLU
# <answer 3.2b>
features = torch.relu(self.block2(self.block1(x)))
pooled = self.block3(features)
# </answer 3.2b>

# wrong: input_changed
# says: changes its input in place
# <answer 3.2b>
x -= x.mean()
features = self.block2(self.block1(x))
pooled = self.block3(features)
# </answer 3.2b>

# wrong: channels_pooled
# says: expected:
# <answer 3.2b>
features = self.block2(self.block1(x))
pooled = F.max_pool2d(features.transpose(1, 2), 2).transpose(1, 2)
# </answer 3.2b>

# wrong: one_norm_for_both
# says: one nn.BatchNorm2d is used twice
# <answer 3.2a>
relu, norm = nn.ReLU(), nn.BatchNorm2d(cout)
self.block1 = nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1), relu, norm)
self.block2 = nn.Sequential(nn.Conv2d(cout, cout, 3, padding=1), relu, norm)
self.block3 = nn.MaxPool2d(2)
# </answer 3.2a>

# wrong: everything_pooled_first
# says: pooled before the convolutions
# <answer 3.2b>
x = self.block3(x)
features = self.block2(self.block1(x))
pooled = features
# </answer 3.2b>

# wrong: normalised_once_more
# unlisted: normalis
# <answer 3.2b>
features = F.instance_norm(self.block2(self.block1(x)))
pooled = self.block3(features)
# </answer 3.2b>

# wrong: pooling_first
# unlisted: pool
# <answer 3.2b>
features = x
pooled = self.block2(self.block1(self.block3(x)))
# </answer 3.2b>
