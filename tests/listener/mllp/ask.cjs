// Sends each message (JSON text) after the port, prints the acknowledgements: [[MSA-1, MSA-2], ...].
const { Client, Message } = require("node-hl7-client");
const [port, ...texts] = process.argv.slice(2);
const answers = [];
const client = new Client({ host: "127.0.0.1" });
const send = () => connection.sendMessage(new Message({ text: JSON.parse(texts[answers.length]) }));
const connection = client.createConnection({ port: Number(port), waitAck: true }, async (answer) => {
  const message = answer.getMessage();
  answers.push([message.get("MSA.1").toString(), message.get("MSA.2").toString()]);
  if (answers.length < texts.length) return send();
  console.log(JSON.stringify(answers));
  process.exit(0);
});
connection.on("error", (e) => { throw e; });
send().catch((e) => { throw e; });
