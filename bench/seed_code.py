"""The reference to beat: the listing of section 5.2 of the document this package answers, kept faithful so that it can be timed.

A whole document's label is copied to every token, padding included, and a token classifier is trained on the copies, in fp32,
in a plain loop, every text cut and padded to 128 tokens, tokenised again at every access. Three things had to change for it
to run today: the optimiser is torch's (`transformers.AdamW` is gone, and so its weight decay of 0 is asked for), the model's
folder is an argument (the embedded MiniLM stands in for bert-base-cased), and the report flattens the tokens (scikit-learn
refuses nested lists). Nothing in the package uses this file.

    python bench/seed_code.py [model folder] [--epochs 5] [--rows 400]
"""
import argparse
import sys
from pathlib import Path

import torch
from sklearn.metrics import classification_report
from torch.utils.data import DataLoader, Dataset
from transformers import BertForTokenClassification, BertTokenizer

sys.path.insert(0, str(Path(__file__).resolve().parent))

BATCH_SIZE, EPOCHS, LEARNING_RATE = 16, 5, 2e-5
LABELS = {'Effective': 0, 'Ineffective': 1}


class DrugEffectDataset(Dataset):
    "Texts and one label each; every access tokenises again, pads to `max_len`, and copies the label to each position."
    def __init__(self, texts, labels, tokenizer, max_len=128):
        self.texts, self.labels, self.tokenizer, self.max_len = list(texts), list(labels), tokenizer, max_len

    def __len__(self): return len(self.texts)

    def __getitem__(self, item):
        encoding = self.tokenizer(self.texts[item], return_tensors='pt', max_length=self.max_len,
                                  padding='max_length', truncation=True)
        return {'input_ids': encoding['input_ids'][0], 'attention_mask': encoding['attention_mask'][0],
                'labels': torch.tensor([self.labels[item]]*self.max_len, dtype=torch.long)}


def device_at_hand() -> torch.device:
    "CUDA where there is one, as in the listing."
    return torch.device('cuda' if torch.cuda.is_available() else 'cpu')


def build(folder, num_labels=2):
    "(model, tokenizer, optimizer) as the listing makes them: token classifier, AdamW over all weights at 2e-5."
    tokenizer = BertTokenizer.from_pretrained(folder)
    model = BertForTokenClassification.from_pretrained(folder, num_labels=num_labels, dtype=torch.float32)
    model.to(device_at_hand())
    return model, tokenizer, torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.)


def train_epoch(model, dataset, batch_size, optimizer) -> float:
    "One pass in random order; the mean loss over batches."
    dataloader = DataLoader(dataset, batch_size=batch_size, shuffle=True)
    device = next(model.parameters()).device
    model.train()
    epoch_loss = 0
    for batch in dataloader:
        input_ids, attention_mask, labels = (batch[name].to(device) for name in ('input_ids', 'attention_mask', 'labels'))
        model.zero_grad()
        loss = model(input_ids, attention_mask=attention_mask, labels=labels).loss
        epoch_loss += loss.item()
        loss.backward()
        optimizer.step()
    return epoch_loss/len(dataloader)


def evaluate(model, dataset, batch_size) -> str:
    "The listing's report: one row a token position, padding included, so long and short texts count alike."
    dataloader = DataLoader(dataset, batch_size=batch_size)
    device = next(model.parameters()).device
    model.eval()
    predicted, true = [], []
    with torch.no_grad():
        for batch in dataloader:
            logits = model(batch['input_ids'].to(device), attention_mask=batch['attention_mask'].to(device)).logits
            predicted += logits.argmax(dim=2).flatten().tolist()
            true += batch['labels'].flatten().tolist()
    return classification_report(true, predicted, zero_division=0)


def predict(model, texts, tokenizer, batch_size=16, max_len=256):
    """Logits of each text, `(n, 2)`: batches of 16 in the given order, every text padded to `max_len`.

    The listing never says how its tokens decide for the document; the mean over the tokens that are no padding is taken.
    """
    dataset = DrugEffectDataset(texts, [0]*len(texts), tokenizer, max_len)
    device = next(model.parameters()).device
    model.eval()
    decided = []
    with torch.no_grad():
        for batch in DataLoader(dataset, batch_size=batch_size):
            mask = batch['attention_mask'].to(device)
            logits = model(batch['input_ids'].to(device), attention_mask=mask).logits   # (batch, tokens, 2)
            decided.append((logits*mask[..., None]).sum(1).div(mask.sum(1, keepdim=True)).cpu())
    return torch.cat(decided).numpy()


def main():
    from common import describe_machine, druglib, embedded_folder, finish, progress
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', nargs='?', default=str(embedded_folder()))
    parser.add_argument('--epochs', type=int, default=EPOCHS)
    parser.add_argument('--rows', type=int, default=400)
    parser.add_argument('--quick', action='store_true', help='one epoch over 200 rows')
    options = parser.parse_args()
    if options.quick: options.epochs, options.rows = 1, 200
    torch.manual_seed(0)
    reviews, task = druglib('binary')
    splits = reviews.split(seed=0)
    task = task.fit(splits.train.frame)
    model, tokenizer, optimizer = build(options.folder)
    train, held_out = (DrugEffectDataset(part.texts()[:options.rows], task.encode(part.frame)[:options.rows].tolist(), tokenizer)
                       for part in (splits.train, splits.validation))
    losses = []
    for epoch in range(options.epochs):
        losses.append(train_epoch(model, train, BATCH_SIZE, optimizer))
        progress(f'epoch {epoch + 1}, train loss {losses[-1]:.3f}\n' + evaluate(model, held_out, BATCH_SIZE))
    decided = predict(model, held_out.texts, tokenizer).argmax(1)
    finish({'losses': losses, 'accuracy_of_documents': float((decided == task.encode(splits.validation.frame)[:options.rows]).mean()),
            'machine': describe_machine()})


if __name__ == '__main__': main()
