// A chosen file into the field; the page works without, by pasting.
const file = document.getElementById('file'), text = document.getElementById('csv');
file.addEventListener('change', async () => { text.value = await file.files[0]?.text() ?? ''; text.dispatchEvent(new Event('input')); });
document.getElementById('roster-file').hidden = false;
// what was checked is what is imported: a change asks for another check
text.addEventListener('input', () => { document.querySelector('button[value=import]').disabled = true; });
