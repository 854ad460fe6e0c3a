"""The TODOs of the lab as data: what each asks, its hints, its points, and what it builds upon.

The markers in the lab's files, the tests, the companion, the text and the grader all go by these
numbers. `needs` names the TODOs whose code a TODO's tests run.
"""

from dataclasses import dataclass

CHAPTERS = {
    1: "Data",
    2: "Augmentation",
    3: "Model",
    4: "Metrics",
    5: "Losses",
    6: "Training loop",
    7: "Deployment",
    9: "Going further",
    10: "Labels are expensive",
}


@dataclass(frozen=True)
class Todo:
    """One idea to write down.

    Attributes:
        number: chapter and position, such as "3.2".
        title: a few words.
        file: where its regions are.
        points: for the mark.
        needs: numbers of the TODOs that must be solved before its tests can pass.
        statement: what to do, with shapes.
        hints: of rising explicitness.
        is_optional: whether it is counted apart, for extra points.
    """

    number: str
    title: str
    file: str
    points: int
    needs: tuple[str, ...]
    statement: str
    hints: tuple[str, ...]
    is_optional: bool = False

    @property
    def chapter(self) -> int:
        """The number before the point."""
        return int(self.number.split(".")[0])


TODOS = (
    Todo(
        number="1.1",
        title="label ids to train ids",
        file="data.py",
        points=2,
        needs=(),
        statement=(
            "`encode_train_ids`: a label set lists the ids that a mask may hold, and for each of "
            "them its train id: 0 ... K-1 for the K classes that are learned, 255 for the rest. "
            "Turn an array of label ids (any shape, any integer type) into a new uint8 array of "
            "train ids. No loop over pixels: a look-up table. Ids may have gaps (0, 7, 263), and "
            "be as large as 65535."
        ),
        hints=(
            "An array can be indexed with an array: table[label_ids] has the shape of label_ids.",
            "The table has an entry for every number up to the largest id; start with all 255, "
            "then fill it from labels.labels.",
            "for label in labels.labels: table[label.id] = label.train_id. Mind the dtype: uint8.",
        ),
    ),
    Todo(
        number="1.2",
        title="pixels of each class",
        file="data.py",
        points=2,
        needs=(),
        statement=(
            "`count_pixels`: how many pixels has each of the K classes over the whole data set? "
            "`read_class_ids(dataset, index, num_classes)` gives a sample's target, (H, W) int64. "
            "Void pixels (255) count for no class. The result is a tensor (K,) int64."
        ),
        hints=(
            "bincount counts how often each number occurs; its `minlength` makes K entries.",
            "Take the void pixels out before counting: target[target != IGNORE_INDEX].",
            "Start with zeros of K entries and add the counts of every index of the data set.",
        ),
    ),
    Todo(
        number="2.1",
        title="transforms for training",
        file="data.py",
        points=3,
        needs=(),
        statement=(
            "`train_transforms`: an albumentations pipeline that resizes to (height, width), "
            "changes the geometry at random (image and target alike) and, if you like, the "
            "colours (of the image alone), normalises with MEAN and STD, and makes tensors. The "
            "mask keeps its ids: nearest neighbour, and 255 where there is no image."
        ),
        hints=(
            "A.Compose([...]) calls each change in turn, with the same geometry for both.",
            "A.Resize, A.RandomScale, A.PadIfNeeded, A.RandomCrop, A.HorizontalFlip, "
            "A.ColorJitter, A.Normalize, A.ToTensorV2, in this order. `resizing` and `filling` "
            "hold the options.",
            "A.Resize(height, width, **resizing); after a random scale, A.PadIfNeeded(height, "
            "width, **filling) and A.RandomCrop(height, width) bring the size back.",
        ),
    ),
    Todo(
        number="2.2",
        title="transforms for evaluation",
        file="data.py",
        points=1,
        needs=(),
        statement=(
            "`eval_transforms`: resize to (height, width), normalise, make tensors. Nothing is "
            "random. The mask keeps its ids (nearest neighbour)."
        ),
        hints=(
            "Three steps in an A.Compose: A.Resize, A.Normalize, A.ToTensorV2.",
            "A.Resize takes `interpolation` for the image and `mask_interpolation` for the mask.",
        ),
    ),
    Todo(
        number="3.1",
        title="convolution, ReLU, batch normalisation",
        file="models.py",
        points=1,
        needs=(),
        statement=(
            "`conv_relu_norm`: a 3x3 convolution from cin to cout channels that keeps the height "
            "and width, a ReLU, and batch normalisation, in this order, as one nn.Sequential."
        ),
        hints=(
            "A 3x3 convolution loses a pixel on each side unless the image is padded by one.",
            "nn.Conv2d(cin, cout, kernel_size=3, padding=1), nn.ReLU(), nn.BatchNorm2d(cout).",
        ),
    ),
    Todo(
        number="3.2",
        title="encoder block",
        file="models.py",
        points=2,
        needs=("3.1",),
        statement=(
            "`UNetConvBlock`: (a) two conv_relu_norm, the first from cin to cout channels, the "
            "second keeping them, and a 2x2 max pooling; (b) `forward` returns the pooled "
            "features, which go down, and the features before the pooling, which go across."
        ),
        hints=(
            "The features that go across keep the full resolution: that is what they are for.",
            "features = block2(block1(x)); pooled = block3(features).",
        ),
    ),
    Todo(
        number="3.3",
        title="encoder",
        file="models.py",
        points=2,
        needs=("3.1", "3.2"),
        statement=(
            "`UNetEncoder`: (a) num_blocks blocks, block i with base_channels * 2^i channels, then "
            "the bottom, a conv_relu_norm with base_channels * 2^n channels; `cout` is that "
            "number; (b) `forward` returns the bottom and the list of what goes across, full "
            "resolution first."
        ),
        hints=(
            "Modules in a plain list are invisible to PyTorch: use nn.ModuleList.",
            "Block 0 takes the image's cin channels; block i > 0 takes the output of block i - 1.",
            "for block in self.blocks: x, across = block(x); features.append(across). Then "
            "self.bottom(x).",
        ),
    ),
    Todo(
        number="3.4",
        title="decoder block",
        file="models.py",
        points=2,
        needs=("3.1",),
        statement=(
            "`UNetUpConvBlock`, with cin = 2 * cout: (a) `upconv`, a fixed x2 upsampling and a "
            "conv_relu_norm from cin to cout channels; `convblock`, two conv_relu_norm for the "
            "concatenated channels, both giving cout; (b) `forward` upsamples, concatenates the "
            "encoder's features along the channels, and convolves."
        ),
        hints=(
            "nn.Upsample(scale_factor=2) doubles height and width and keeps the channels.",
            "Both sources have cout channels: convblock's first convolution takes 2 * cout.",
            "Channels are axis 1: torch.cat([encoder_features, x], dim=1).",
        ),
    ),
    Todo(
        number="3.5",
        title="decoder",
        file="models.py",
        points=2,
        needs=("3.1", "3.4"),
        statement=(
            "`UNetDecoder`: (a) a bottom conv_relu_norm that keeps the cin channels; num_blocks up "
            "blocks, each halving the channels; a 1x1 convolution to num_classes; (b) `forward` "
            "goes up through the blocks, the deepest features first, and returns logits."
        ),
        hints=(
            "The encoder lists its features from full resolution down; you go the other way.",
            "zip(self.blocks, reversed(features)) pairs each block with its features.",
            "Logits are any real numbers: no softmax, no ReLU after the last convolution.",
        ),
    ),
    Todo(
        number="4.1",
        title="confusion matrix",
        file="metrics.py",
        points=2,
        needs=(),
        statement=(
            "`ConfusionMatrix.update`: count, for this batch, how many pixels of true class t were "
            "predicted as class p: counts[t, p], (K, K) int64. A pixel counts when its target is "
            "not the ignore index, whatever was predicted there. `truth` and `guess` are (B, H, W)."
        ),
        hints=(
            "Give each pair a number of its own: t * K + p lies between 0 and K * K - 1.",
            "bincount with minlength=K * K counts them; view makes a matrix of it.",
            "valid = truth != self.ignore_index; truth[valid] and guess[valid] are flat.",
        ),
    ),
    Todo(
        number="4.2",
        title="F1 and macro F1",
        file="metrics.py",
        points=2,
        needs=(),
        statement=(
            "(a) `f1_per_class`: 2 TP / (2 TP + FP + FN), (K,) float64; NaN for a class neither in "
            "the target nor predicted, 0 for one that is only predicted; (b) `macro_f1`: the mean "
            "over the classes that are not NaN, a float; 0.0 when there is none."
        ),
        hints=(
            "FN = truth - TP, FP = predicted - TP: the denominator is truth + predicted.",
            "0 / 0 of two tensors is NaN by itself.",
            "f1[~f1.isnan()].mean().item(), if anything is left.",
        ),
    ),
    Todo(
        number="4.3",
        title="IoU and mean IoU",
        file="metrics.py",
        points=2,
        needs=(),
        statement=(
            "(a) `iou_per_class`: TP / (TP + FP + FN), (K,) float64, NaN as for the F1; (b) "
            "`mean_iou`: the mean over the classes that are not NaN, a float; 0.0 when there is "
            "none."
        ),
        hints=(
            "The union of target and prediction counts the pixels that both have once.",
            "true_positives / (truth + predicted - true_positives).",
        ),
    ),
    Todo(
        number="4.4",
        title="pixel accuracy and mean accuracy",
        file="metrics.py",
        points=1,
        needs=(),
        statement=(
            "(a) `pixel_accuracy`: the share of the counted pixels that are right; (b) "
            "`mean_accuracy`: the mean recall TP / (TP + FN) over the classes that have target "
            "pixels. Both floats, 0.0 when nothing was counted."
        ),
        hints=(
            "Pixel accuracy adds up first and divides once.",
            "For the mean accuracy, leave out the classes whose `truth` is 0.",
        ),
    ),
    Todo(
        number="5.1",
        title="class weights",
        file="losses.py",
        points=2,
        needs=(),
        statement=(
            "`class_weights`: from the classes' shares f_k, `inverse` 1 / f_k, `sqrt` 1 / √f_k, "
            "`median` median(f) / f_k. Classes without pixels have been left out already, and the "
            "scaling to mean 1 follows after."
        ),
        hints=(
            "All three are one line each, for the whole tensor at once.",
            "shares.median() is the lower of the two middle values; shares.quantile(0.5) halves.",
        ),
    ),
    Todo(
        number="5.2",
        title="weighted cross entropy",
        file="losses.py",
        points=3,
        needs=(),
        statement=(
            "`WeightedCrossEntropy.forward`: -log p of the true class, p the softmax over the "
            "classes; times the pixel's weight; summed over the pixels; divided by the sum of the "
            "weights. `weights` is there already, (B, H, W) and 0 for void pixels; `ratio` divides "
            "safely. Right at "
            "logits of ±1000 too."
        ),
        hints=(
            "log(softmax(x)) is -inf where the softmax rounds to 0; F.log_softmax is not.",
            "gather(1, ids.unsqueeze(1)) picks the true class's channel. 255 is no channel: put a "
            "valid id there, the weight 0 takes it out again.",
            "ratio((weights * cross_entropy).sum(), weights.sum()): not the mean over the pixels.",
        ),
    ),
    Todo(
        number="5.3",
        title="focal loss",
        file="losses.py",
        points=3,
        needs=(),
        statement=(
            "`FocalLoss.forward`: each pixel's cross entropy times (1 - p_t)^γ, then times its "
            "weight, summed, divided by the sum of the weights. p_t is the softmax probability of "
            "the true class, without weights; the factor takes part in the gradient."
        ),
        hints=(
            "p_t = exp(-cross entropy) of that pixel, before any weight.",
            "The factor belongs to each pixel, before the sum; do not detach it.",
            "γ = 0 must give the weighted cross entropy: the denominator stays Σ w.",
        ),
    ),
    Todo(
        number="6.1",
        title="one epoch of training",
        file="training.py",
        points=3,
        needs=(),
        statement=(
            "`train_one_epoch`: training mode; for every batch the logits, the loss, the gradients "
            "of this batch alone, a step of the optimiser, and of the scheduler if there is one; "
            "then count the loss with its denominator, and call after_step. The losses of batches "
            "weigh by their denominators."
        ),
        hints=(
            "Gradients add up until zero_grad() clears them.",
            "scaler.scale(loss).backward(); scaler.step(optimizer); scaler.update(). With the "
            "scaler switched off this is loss.backward(); optimizer.step().",
            "meter.add(loss, loss_denominator(criterion, target, ignore_index)).",
        ),
    ),
    Todo(
        number="6.2",
        title="evaluation",
        file="training.py",
        points=3,
        needs=("4.1",),
        statement=(
            "`evaluate`: the loss and the confusion matrix over all batches, in evaluation mode, "
            "without gradients; afterwards the model is in the mode that it was in before, and "
            "nothing of it has changed."
        ),
        hints=(
            "In training mode, batch normalisation would learn from the validation images.",
            "was_training = model.training; model.eval(); ...; model.train(was_training).",
            "The predicted class of a pixel is logits.argmax(dim=1).",
        ),
    ),
    Todo(
        number="7.1",
        title="ONNX export",
        file="deploy.py",
        points=2,
        needs=(),
        statement=(
            "`write_onnx`: export `network` in evaluation mode, by torch.onnx.export(dynamo=True); "
            "the input is called image, the output logits; batch, height and width are dynamic."
        ),
        hints=(
            "In training mode, batch normalisation would use the statistics of this one batch.",
            'dynamic_shapes=({0: "batch", 2: "height", 3: "width"},): one dict per input.',
            'torch.onnx.export(network.eval(), (image,), input_names=["image"], '
            'output_names=["logits"], dynamic_shapes=..., dynamo=True, verbose=False).',
        ),
    ),
    Todo(
        number="7.2",
        title="a single photo",
        file="deploy.py",
        points=3,
        needs=(),
        statement=(
            "(a) `Segmenter.preprocess`: resize the photo (H, W, 3) uint8 to (height, width), "
            "normalise it as in training, pad it below and on the right to multiples of the "
            "stride, and put the channels first; (b) `postprocess`: crop the padding off the "
            "logits, enlarge them to the photo's size and take the class with the largest logit "
            "(`upsample_argmax`)."
        ),
        hints=(
            "mean and std are for values in 0 ... 1: divide by 255 first.",
            "-height % stride is how many rows are missing to the next multiple.",
            "transpose(2, 0, 1) moves the channels to the front; reshape would mix the pixels.",
        ),
    ),
    Todo(
        number="9.1",
        title="atrous spatial pyramid pooling",
        file="zoo/blocks.py",
        points=3,
        needs=(),
        statement=(
            "`ASPP`: (a) the branches from cin to cout channels: a 1x1 convolution, a 3x3 one for "
            "each of the `rates`, separable or not, and `ImagePooling`; (b) `forward`: every "
            "branch sees the same x, and their outputs are concatenated along the channels, "
            "(B, branches * cout, H, W), in any order; (c) `ImagePooling`: one vector (B, cout, 1, "
            "1) per image, spread over all its pixels."
        ),
        hints=(
            "The branches differ in how far they look. All of them keep the height and the width.",
            "conv_norm_relu(cin, cout, rate=rate, separable=separable) pads by its rate already.",
            "torch.cat([branch(x) for branch in self.convs], dim=1); in a plain list, PyTorch "
            "would not find the branches: nn.ModuleList.",
            "vector.expand(-1, -1, height, width) repeats without copying.",
        ),
        is_optional=True,
    ),
    Todo(
        number="9.2",
        title="efficient self-attention",
        file="zoo/segformer.py",
        points=3,
        needs=(),
        statement=(
            "`EfficientSelfAttention.forward`: softmax(Q Kᵀ / √d) V in each head, d = C / heads. "
            "The queries are made of x (B, H, W, C), the keys and values of `self.reduction(x)`, "
            "which has R² times fewer positions. `split_heads` puts the positions in a row and the "
            "heads apart; join them again to (B, H, W, C). The last linear layer follows below."
        ),
        hints=(
            "query (B, heads, N, d), key and value (B, heads, N / R², d): scores (B, heads, N, "
            "N / R²), and each query's weights add up to 1 over the keys.",
            "F.scaled_dot_product_attention(query, key, value) divides by √d and takes the softmax "
            "over the last axis.",
            "The result is (B, heads, N, d). transpose(1, 2) brings a position's heads together; "
            "then, and only then, reshape(x.shape).",
        ),
        is_optional=True,
    ),
    Todo(
        number="9.3",
        title="soft Dice and Tversky loss",
        file="zoo/losses.py",
        points=2,
        needs=(),
        statement=(
            "`tversky`, which is Dice at α = β = ½: for each class, TP = Σ p over its own pixels, "
            "FP = Σ p over all other valid pixels, FN = Σ (1 - p) over its own, each over the "
            "whole batch; the index TP / (TP + α·FP + β·FN); and the mean of 1 - index over the "
            "classes that have pixels, weighted by `class_weights` (`mean_over_classes`). No "
            "smoothing: `ratio` divides safely. "
            "`probabilities` and `truth` are (B, K, H, W), `valid` is (B, 1, H, W), `counts` (K,) "
            "says how many pixels each class has."
        ),
        hints=(
            "First the sums over (0, 2, 3), batch, height and width, then one division per class.",
            "truth is False at void pixels, but p is not 0 there: FP needs `valid`.",
            "TP + FN is the number of the class's pixels, TP + FP the sum of p over valid ones.",
        ),
        is_optional=True,
    ),
    Todo(
        number="9.4",
        title="Lovász-Softmax",
        file="zoo/losses_region.py",
        points=3,
        needs=(),
        statement=(
            "(a) `LovaszLoss.forward`: each class's errors |truth - p|, times the slopes of (b), "
            "added up over the pixels; their mean over the classes that have pixels, weighted by "
            "`self.weights` (`mean_over_classes`). (b) "
            "`lovasz_slopes`, for one class: let the pixels turn wrong one after the other, the "
            "largest error first; the slope of a pixel is what 1 - IoU grows by when its turn "
            "comes. `errors_k` and `is_k` are (N,), the errors of the valid pixels and whether the "
            "truth is the class; `slopes_k` has their order."
        ),
        hints=(
            "With i pixels wrong, m of them of the class, which has n pixels: the intersection is "
            "n - m, the union n + i - m.",
            "order = errors_k.argsort(descending=True); is_k[order].cumsum(0) is m for each i.",
            "The slopes are the differences of 1 - intersection / union, which begins at 0 with "
            "nothing wrong. They come in the order of sorting: slopes_k[order] = steps.",
            "(a) p where truth is False, 1 - p where it is True: torch.where. No division by N.",
        ),
        is_optional=True,
    ),
    Todo(
        number="10.1",
        title="probabilities summed over other classes",
        file="zoo/mapping.py",
        points=1,
        needs=(),
        statement=(
            "`sum_over_sources`: a network's K classes, the sources, belong to T other classes, "
            "the targets. For each pixel, the probability of a target is the sum of the "
            "probabilities "
            "of its sources. `probabilities` is (K, H, W); `target_of` has the target of each "
            "source, or -1 for a source that belongs to none; `sums` is (T, H, W) of the type of "
            "`probabilities`. A target without a source has 0."
        ),
        hints=(
            "A loop over the sources: sums[target] += probabilities[source].",
            "In numpy -1 is the last place, not none: leave those sources out.",
            "sums[target_of] += probabilities adds each target's last source alone: the others are "
            "overwritten.",
        ),
        is_optional=True,
    ),
)

BY_NUMBER = {todo.number: todo for todo in TODOS}


def all_needs(number: str) -> set[str]:
    """The TODOs that a TODO builds upon, directly or through others."""
    direct = set(BY_NUMBER[number].needs)
    return direct.union(*(all_needs(each) for each in direct))
