# wrong: mode_forgotten
# says: model.eval() before the first batch
# <answer 6.2>
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
# </answer 6.2>

# wrong: training_mode
# says: model.eval() before the first batch
# <answer 6.2>
was_training = model.training
model.train()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: mode_of_the_outer_module_only
# says: for some layers
# <answer 6.2>
was_training = model.training
model.training = False
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.training = was_training
# </answer 6.2>

# wrong: batch_norm_only
# says: for some layers
# <answer 6.2>
was_training = model.training
for m in model.modules():
    if isinstance(m, nn.BatchNorm2d):
        m.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: dropout_only
# says: for some layers
# <answer 6.2>
was_training = model.training
for m in model.modules():
    if isinstance(m, nn.Dropout):
        m.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: mode_back_in_the_loop
# says: model.eval() before the first batch
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
        model.train(was_training)
model.train(was_training)
# </answer 6.2>

# wrong: mode_not_restored
# says: model.train(was_training)
# <answer 6.2>
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
# </answer 6.2>

# wrong: mode_always_training
# says: model.train(was_training)
# <answer 6.2>
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train()
# </answer 6.2>

# wrong: mode_asked_too_late
# says: model.train(was_training)
# <answer 6.2>
model.eval()
was_training = model.training
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: no_grad_forgotten
# says: with torch.no_grad()
# <answer 6.2>
was_training = model.training
model.eval()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: no_grad_around_the_loss_only
# says: with torch.no_grad()
# <answer 6.2>
was_training = model.training
model.eval()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    with torch.no_grad():
        loss = criterion(logits, target)
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: detached_afterwards
# says: with torch.no_grad()
# <answer 6.2>
was_training = model.training
model.eval()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images).detach()
    loss = criterion(logits, target)
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: gradients_off_for_good
# says: set_grad_enabled(False) stays
# <answer 6.2>
was_training = model.training
model.eval()
torch.set_grad_enabled(False)
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: parameters_frozen
# says: no requires_grad_()
# <answer 6.2>
was_training = model.training
model.eval().requires_grad_(False)
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: gradients_cleared
# says: no zero_grad()
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        model.zero_grad()
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: backward
# says: no backward()
# <answer 6.2>
was_training = model.training
model.eval()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    loss.backward()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: statistics_reset
# says: model.eval() before
# <answer 6.2>
was_training = model.training
model.train()
state = [loader := list(loader)]
for images, _ in loader:
    model(images)
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: matrix_transposed
# says: rows and columns are swapped
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        valid = target != ignore_index
        confusion.update(target[valid], logits.argmax(dim=1)[valid])
model.train(was_training)
# </answer 6.2>

# wrong: matrix_returned_transposed
# says: rows and columns are swapped
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
return meter.mean(), confusion.matrix.T
# </answer 6.2>

# wrong: matrix_of_the_last_batch
# says: only the last batch was counted
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        confusion = ConfusionMatrix(num_classes, ignore_index)
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: matrix_after_the_loop
# says: only the last batch was counted
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: matrix_reset
# says: only the last batch was counted
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        confusion.reset()
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: matrix_of_the_first_batch
# says: only the first batch was counted
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
        break
model.train(was_training)
# </answer 6.2>

# wrong: matrix_of_shares
# says: the matrix is divided
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
return meter.mean(), confusion.matrix / confusion.matrix.sum()
# </answer 6.2>

# wrong: matrix_of_recalls
# says: each row is divided by its sum
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
return meter.mean(), confusion.matrix / confusion.matrix.sum(1, keepdim=True)
# </answer 6.2>

# wrong: matrix_averaged
# says: averaged over the batches
# <answer 6.2>
count = 0
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
        count += 1
model.train(was_training)
return meter.mean(), confusion.matrix / count
# </answer 6.2>

# wrong: matrix_of_floats
# says: the matrix holds counts, int64
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
return meter.mean(), confusion.matrix.float()
# </answer 6.2>

# wrong: matrix_empty
# says: nothing was counted: confusion.update
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
model.train(was_training)
# </answer 6.2>

# wrong: matrix_of_the_target
# says: the prediction is the target itself
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(target, target)
model.train(was_training)
# </answer 6.2>

# wrong: void_counted
# says: void pixels are counted
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target.clamp(max=num_classes - 1))
model.train(was_training)
# </answer 6.2>

# wrong: correct_pixels_only
# says: expected:
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        guess = logits.argmax(dim=1)
        confusion.update(guess[guess == target], target[guess == target])
model.train(was_training)
# </answer 6.2>

# wrong: last_batch_left_out
# says: the last batch is missing
# <answer 6.2>
loader = list(loader)[:-1]
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: mode_after_the_first_batch
# says: model.eval() before the first batch
# <answer 6.2>
was_training = model.training
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
        model.eval()
model.train(was_training)
# </answer 6.2>

# wrong: weights_reset
# says: weight has changed
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
nn.init.zeros_(next(model.parameters()))
model.train(was_training)
# </answer 6.2>

# wrong: smallest_logit
# says: the predictions are wrong
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmin(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: argmax_over_the_row
# says: your code raised
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=-1), target)
model.train(was_training)
# </answer 6.2>

# wrong: argmax_over_the_batch
# says: your code raised
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=0), target)
model.train(was_training)
# </answer 6.2>

# wrong: values_not_classes
# says: your code raised
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits, target)
model.train(was_training)
# </answer 6.2>

# wrong: thresholded_sigmoids
# says: the predictions are wrong
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update((logits.sigmoid() > 0.5).long().argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: rounded_softmax
# says: the predictions are wrong
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.softmax(1).round().argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: softmax_before_the_loss
# says: these are probabilities
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images).softmax(1)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: log_softmax_over_rows
# says: the predictions are wrong
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images).softmax(-1)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: mean_of_the_batches
# says: the mean of the batches' losses
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, torch.tensor(1))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: mean_by_images
# says: the batches weigh by their images
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, torch.tensor(len(images)))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: mean_by_all_pixels
# says: by all their pixels, void ones too
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, torch.tensor(target.numel()))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: mean_by_valid_pixels
# says: with class weights it is by Σ w
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, (target != ignore_index).sum())
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: ignore_index_hard_coded
# says: not always 255
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, 255))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: only_the_last_loss
# says: the last batch's loss
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        confusion.update(logits.argmax(dim=1), target)
meter.add(loss, loss_denominator(criterion, target, ignore_index))
model.train(was_training)
# </answer 6.2>

# wrong: loss_of_a_tensor
# says: leave the graph and the tensor behind
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
return torch.tensor(meter.mean()), confusion.matrix
# </answer 6.2>

# wrong: order_swapped
# says: the order is swapped
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
return confusion.matrix, meter.mean()
# </answer 6.2>

# wrong: loader_twice
# says: can be run through only once
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        confusion.update(model(images).argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: device_forgotten
# says: to_device(images, target, device)
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: device_for_images_only
# says: the target as the loader gave them
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images = images.to(device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: matrix_once_per_image
# says: once for each of its images
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        for _ in images:
            confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>

# wrong: first_image_of_each_batch
# says: the first image of each batch
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        confusion.update(logits[0].argmax(dim=0), target[0])
model.train(was_training)
# </answer 6.2>

# wrong: unsure_pixels_left_out
# unlisted: left out | unsure
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        sure = logits.softmax(1).amax(1) > 0.5
        confusion.update(logits.argmax(dim=1)[sure], target[sure])
model.train(was_training)
# </answer 6.2>

# wrong: void_overwritten_before_the_matrix
# says: void pixels are counted
# <answer 6.2>
was_training = model.training
model.eval()
with torch.no_grad():
    for images, target in loader:
        images, target = to_device(images, target, device)
        with autocast():
            logits = model(images)
        loss = criterion(logits, target)
        meter.add(loss, loss_denominator(criterion, target, ignore_index))
        target[target == ignore_index] = 0
        confusion.update(logits.argmax(dim=1), target)
model.train(was_training)
# </answer 6.2>
