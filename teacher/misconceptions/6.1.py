# wrong: zero_grad_forgotten
# says: zero_grad() is missing
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: zero_grad_once
# says: zero_grad() is missing
# <answer 6.1>
model.train()
optimizer.zero_grad()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: zero_grad_before_the_step
# says: the weights are as before
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    scaler.scale(loss).backward()
    optimizer.zero_grad()
    optimizer.step()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: step_first
# says: step() comes before backward()
# <answer 6.1>
model.train()
for images, target in loader:
    optimizer.step()
    optimizer.zero_grad()
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    loss.backward()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: step_before_backward
# says: modified by an inplace operation
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.step()
    optimizer.zero_grad()
    loss.backward()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: no_step
# says: the weights are as before
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: no_backward
# says: the weights are as before
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    optimizer.step()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: evaluation_mode
# says: model.train() before the first batch
# <answer 6.1>
model.eval()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: mode_forgotten
# says: model.train() before the first batch
# <answer 6.1>
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: mode_after_the_first_batch
# says: model.train() before the first batch
# <answer 6.1>
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
    model.train()
# </answer 6.1>

# wrong: mode_of_the_outer_module_only
# says: for some layers only
# <answer 6.1>
model.training = True
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: mode_set_back_in_the_loop
# says: no model.eval()
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
    model.eval()
# </answer 6.1>

# wrong: last_batch_only
# says: only the last batch was learned
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    pass
with autocast():
    logits = model(images)
loss = criterion(logits, target)
optimizer.zero_grad()
scaler.scale(loss).backward()
scaler.step(optimizer)
scaler.update()
if scheduler is not None:
    scheduler.step()
meter.add(loss, loss_denominator(criterion, target, ignore_index))
if after_step is not None:
    after_step(len(images))
# </answer 6.1>

# wrong: first_batch_only
# says: only the first batch was learned
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
    break
# </answer 6.1>

# wrong: one_step_per_epoch
# says: one step for all batches
# <answer 6.1>
model.train()
optimizer.zero_grad()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    scaler.scale(loss).backward()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
scaler.step(optimizer)
scaler.update()
# </answer 6.1>

# wrong: one_step_for_the_mean
# says: one step for the mean of all batches
# <answer 6.1>
model.train()
optimizer.zero_grad()
losses = []
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    losses.append(loss)
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
torch.stack(losses).mean().backward()
optimizer.step()
# </answer 6.1>

# wrong: loss_made_larger
# says: the loss was made larger
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    (-loss).backward()
    optimizer.step()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: two_steps
# says: two steps for each batch
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    optimizer.step()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: softmax_before_the_loss
# says: these are probabilities
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images).softmax(1)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: sigmoid_before_the_loss
# says: these are sigmoids
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images).sigmoid()
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: scheduler_forgotten
# says: the learning rate never changed
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: scheduler_per_epoch
# says: it was stepped once, after all batches
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
if scheduler is not None:
    scheduler.step()
# </answer 6.1>

# wrong: scheduler_before_the_step
# says: the scheduler was stepped before the optimiser
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    if scheduler is not None:
        scheduler.step()
    scaler.step(optimizer)
    scaler.update()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: scheduler_instead_of_optimizer
# says: the weights are as before
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: scheduler_twice
# says: the scheduler was stepped twice
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: scheduler_always_there
# says: your code raised AttributeError
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: mean_of_the_batches
# says: the mean of the batches' losses
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, torch.tensor(1.0))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: mean_by_images
# says: the batches weigh by their images
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, torch.tensor(len(images)))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: mean_by_all_pixels
# says: by all their pixels, void ones too
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, torch.tensor(target.numel()))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: mean_by_valid_pixels
# says: with class weights it is by Σ w
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, (target != ignore_index).sum())
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: ignore_index_hard_coded
# says: not always 255
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, 255))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: only_the_last_loss
# says: the last batch's loss
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    if after_step is not None:
        after_step(len(images))
meter.add(loss, loss_denominator(criterion, target, ignore_index))
# </answer 6.1>

# wrong: nothing_counted
# says: nothing was counted
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: sum_of_the_losses
# says: the sum of the batches' losses
# <answer 6.1>
model.train()
total = 0.0
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
    total = total + loss.item()
return total
# </answer 6.1>

# wrong: a_tensor_is_returned
# says: leave the graph and the tensor behind
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
return torch.tensor(meter.mean())
# </answer 6.1>

# wrong: its_own_meter
# says: count with the meter given
# <answer 6.1>
model.train()
meter = LossMeter()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: after_step_forgotten
# says: after_step(len(images)) at the end of every batch
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
# </answer 6.1>

# wrong: after_step_counts_batches
# says: after_step(len(images)) at the end of every batch
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(1)
# </answer 6.1>

# wrong: after_step_before_the_step
# says: after_step comes after the optimiser's step
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
# </answer 6.1>

# wrong: after_step_before_the_meter
# says: meter.add comes before after_step
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    if after_step is not None:
        after_step(len(images))
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
# </answer 6.1>

# wrong: device_forgotten
# says: to_device(images, target, device)
# <answer 6.1>
model.train()
for images, target in loader:
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: device_for_images_only
# says: the target as the loader gave them
# <answer 6.1>
model.train()
for images, target in loader:
    images = images.to(device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: gradients_still_scaled
# says: the gradients are still scaled
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    optimizer.step()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: scaler_not_updated
# says: your code raised RuntimeError
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: length_of_the_loader
# says: has no len()
# <answer 6.1>
model.train()
total = 0.0
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
    total += loss.item()
return total / len(loader)
# </answer 6.1>

# wrong: loss_divided_by_batches
# says: divided by the number of batches
# <answer 6.1>
loader = list(loader)
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss / len(loader)).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: gradients_clipped
# says: the gradients were clipped
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: two_epochs
# says: the loader was run through twice
# <answer 6.1>
loader = list(loader)
loader = loader + loader
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: incomplete_batch_dropped
# says: the last batch was left out
# <answer 6.1>
loader = list(loader)[:-1]
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: loss_after_the_step
# says: expected:
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    loss = criterion(model(images), target)
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: void_target_changed
# says: expected:
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    target = target.clamp(max=3)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: own_descent
# says: expected:
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= optimizer.param_groups[0]["lr"] * parameter.grad
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: decorated_by_no_grad
# says: your code raised RuntimeError
# <answer 6.1>
torch.set_grad_enabled(True)
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    loss = loss.detach()
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: every_second_batch
# says: expected:
# <answer 6.1>
model.train()
for index, (images, target) in enumerate(loader):
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    scaler.scale(loss).backward()
    if index % 2 == 0:
        optimizer.step()
        optimizer.zero_grad()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: without_gradients
# says: does not require grad
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with torch.no_grad():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: only_the_first_gradient_is_cleared
# says: gradients of earlier batches are left
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    next(model.parameters()).grad = None
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: numerator_added
# says: once more in the meter
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    denominator = loss_denominator(criterion, target, ignore_index)
    meter.add(loss * denominator, denominator)
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: own_weight_decay
# unlisted: decay | added to the loss
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    penalty = sum(p.pow(2).sum() for p in model.parameters())
    loss = loss + 0.001 * penalty
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: a_step_for_each_image
# unlisted: each image
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    for n in range(len(images)):
        with autocast():
            logits = model(images[n : n + 1])
        loss = criterion(logits, target[n : n + 1])
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        meter.add(loss, loss_denominator(criterion, target[n : n + 1], ignore_index))
    if scheduler is not None:
        scheduler.step()
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: scheduler_given_the_loss
# unlisted: scheduler
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step(loss.item())
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: void_overwritten_in_place
# says: writes into what it was given
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    target[target == ignore_index] = 0
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>

# wrong: loss_divided_by_the_channels
# unlisted: number of batches
# <answer 6.1>
model.train()
for images, target in loader:
    images, target = to_device(images, target, device)
    with autocast():
        logits = model(images)
    loss = criterion(logits, target)
    optimizer.zero_grad()
    scaler.scale(loss / images.shape[1]).backward()
    scaler.step(optimizer)
    scaler.update()
    if scheduler is not None:
        scheduler.step()
    meter.add(loss, loss_denominator(criterion, target, ignore_index))
    if after_step is not None:
        after_step(len(images))
# </answer 6.1>
