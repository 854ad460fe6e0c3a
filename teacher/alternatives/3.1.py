# right: without_bias
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, 3, padding=1, bias=False),
    nn.ReLU(),
    nn.BatchNorm2d(cout),
)
# </answer 3.1>

# right: padding_same
# <answer 3.1>
layers = nn.Sequential(
    nn.Conv2d(cin, cout, (3, 3), padding="same"),
    nn.ReLU(inplace=True),
    nn.BatchNorm2d(num_features=cout),
)
# </answer 3.1>

# right: named_layers
# <answer 3.1>
from collections import OrderedDict

parts = OrderedDict()
parts["norm"] = nn.BatchNorm2d(cout)
convolution = nn.Conv2d(cin, cout, kernel_size=3, padding=1)
layers = nn.Sequential(OrderedDict(convolution=convolution, relu=nn.ReLU(), norm=parts["norm"]))
# </answer 3.1>

# right: module_class
# <answer 3.1>
class Unit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(cout)
        self.convolution = nn.Conv2d(cin, cout, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(F.relu(self.convolution(x)))


layers = Unit()
# </answer 3.1>

# right: padding_layer_and_momentum
# <answer 3.1>
layers = nn.Sequential(
    nn.ZeroPad2d(1),
    nn.Conv2d(cin, cout, 3),
    nn.ReLU(),
    nn.BatchNorm2d(cout, momentum=0.05),
)
# </answer 3.1>

# right: functional_parameters
# <answer 3.1>
class Unit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(cout, cin, 3, 3) * (2 / (9 * cin)) ** 0.5)
        self.scale = nn.Parameter(torch.ones(cout))
        self.shift = nn.Parameter(torch.zeros(cout))
        self.register_buffer("running_mean", torch.zeros(cout))
        self.register_buffer("running_var", torch.ones(cout))

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.weight, padding=1).clamp(min=0)
        statistics = self.running_mean, self.running_var
        return F.batch_norm(x, *statistics, self.scale, self.shift, training=self.training)


layers = Unit()
# </answer 3.1>

# right: subclass_of_sequential
# <answer 3.1>
class Brick(nn.Sequential):
    def __init__(self, above: int, below: int) -> None:
        super().__init__()
        self.append(nn.Conv2d(above, below, 3, padding=(3 - 1) // 2))
        nn.init.kaiming_normal_(self[0].weight, nonlinearity="relu")
        nn.init.zeros_(self[0].bias)
        self.append(nn.ReLU())
        self.append(nn.BatchNorm2d(below))


layers = Brick(cin, cout)
# </answer 3.1>

# right: threshold
# <answer 3.1>
conv = nn.Conv2d(cin, cout, 3, 1, 1)
layers = nn.Sequential(*[conv, nn.Threshold(0.0, 0.0), nn.BatchNorm2d(cout)])
# </answer 3.1>
