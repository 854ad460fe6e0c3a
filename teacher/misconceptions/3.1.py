# wrong: norm_before_relu
# says: batch normalisation stands before the ReLU
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
    nn.BatchNorm2d(cout),
    nn.ReLU(),
)
# </answer 3.1>

# wrong: no_relu
# says: the ReLU is missing
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: no_norm
# says: batch normalisation is missing
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
    nn.ReLU(),
)
# </answer 3.1>

# wrong: no_padding
# says: loses a pixel on each side
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3),
    nn.ReLU(),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: kernel_5
# says: the kernel is 5x5
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=5, padding=2),
    nn.ReLU(),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: kernel_1
# says: the kernel is 1x1
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=1),
    nn.ReLU(),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: kernel_1_padded
# says: padding=1 is enough for a 3x3
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=1, padding=1),
    nn.ReLU(),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: reflected_padding
# says: reflected
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, 3, padding=1, padding_mode="reflect"),
    nn.ReLU(),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: replicated_padding
# says: repeats the border
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, 3, padding=1, padding_mode="replicate"),
    nn.ReLU(),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: circular_padding
# says: circular
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, 3, padding=1, padding_mode="circular"),
    nn.ReLU(),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: norm_first
# says: running_mean should contain
# <answer 3.1>
layers = nn.Sequential(
    nn.BatchNorm2d(cout),
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
    nn.ReLU(),
)
# </answer 3.1>

# wrong: norm_of_input
# says: batch normalisation comes last
# <answer 3.1>
layers = nn.Sequential(
    nn.BatchNorm2d(cin),
    nn.ReLU(),
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
)
# </answer 3.1>

# wrong: relu_first
# says: ReLU comes after the convolution
# <answer 3.1>
layers = nn.Sequential(
    nn.ReLU(),
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: relu_twice
# says: second ReLU
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.BatchNorm2d(cout),
    nn.ReLU(),
)
# </answer 3.1>

# wrong: swapped_channels
# says: to have 5 channels
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cout, cin, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.BatchNorm2d(cin),
)
# </answer 3.1>

# wrong: keeps_channels
# says: must change the channels
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cin, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.BatchNorm2d(cin),
)
# </answer 3.1>

# wrong: leaky_relu
# says: leaky_relu
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
    nn.LeakyReLU(0.1),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: relu6
# says: hardtanh
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
    nn.ReLU6(),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: instance_norm
# says: instance_norm
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.InstanceNorm2d(cout, affine=True),
)
# </answer 3.1>

# wrong: group_norm
# says: group_norm
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.GroupNorm(1, cout),
)
# </answer 3.1>

# wrong: no_running_statistics
# says: no running mean
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.BatchNorm2d(cout, track_running_stats=False),
)
# </answer 3.1>

# wrong: statistics_frozen
# says: a running mean that does not move
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.BatchNorm2d(cout, momentum=0.0),
)
# </answer 3.1>

# wrong: dropout
# says: dropout
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.BatchNorm2d(cout),
    nn.Dropout2d(0.2),
)
# </answer 3.1>

# wrong: stride_2
# says: a stride of 2
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3, stride=2, padding=1),
    nn.ReLU(),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: dilated
# says: computed from your weights
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3, padding=2, dilation=2),
    nn.ReLU(),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: two_convolutions
# says: one convolution too many
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
    nn.Conv2d(cout, cout, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: max_pooling_inside
# says: there is a pooling
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.BatchNorm2d(cout),
    nn.MaxPool2d(2),
)
# </answer 3.1>

# wrong: hard_coded_width
# says: expected:
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, 64, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.BatchNorm2d(64),
)
# </answer 3.1>

# wrong: hard_coded_picture
# says: channels
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(3, cout, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: weights_frozen
# says: requires_grad=False
# <answer 3.1>
layers = nn.Sequential(nn.Conv2d(cin, cout, kernel_size=3, padding=1), nn.ReLU(), nn.BatchNorm2d(cout))
layers.requires_grad_(False)
# </answer 3.1>

# wrong: list_of_layers
# says: a list of 3
# <answer 3.1>
layers = [nn.Conv2d(cin, cout, kernel_size=3, padding=1), nn.ReLU(), nn.BatchNorm2d(cout)]
# </answer 3.1>

# wrong: convolution_frozen
# says: requires_grad=False
# <answer 3.1>
layers = nn.Sequential(nn.Conv2d(cin, cout, kernel_size=3, padding=1), nn.ReLU(), nn.BatchNorm2d(cout))
layers[0].weight.requires_grad = False
# </answer 3.1>

# wrong: same_for_all
# says: the same weights
# <answer 3.1>
store = conv_relu_norm.__dict__
if (cin, cout) not in store:
    store[cin, cout] = nn.Sequential(nn.Conv2d(cin, cout, kernel_size=3, padding=1), nn.ReLU(), nn.BatchNorm2d(cout))
layers = store[cin, cout]
# </answer 3.1>

# wrong: separable
# says: convolutions run
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cin, kernel_size=3, padding=1, groups=cin),
    nn.Conv2d(cin, cout, 1),
    nn.ReLU(),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: depthwise_when_it_fits
# says: convolution 1 of 1 has weights
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, 3, padding=1, groups=cin if cin == cout else 1),
    nn.ReLU(inplace=True),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# wrong: norm_without_scale
# says: no affine=False
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, kernel_size=3, padding=1),
    nn.ReLU(),
    nn.BatchNorm2d(cout, affine=False),
)
# </answer 3.1>
