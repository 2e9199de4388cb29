// An MLLP receiver of npm's simple-hl7: it prints its port, then what it read of each message.
const hl7 = require('simple-hl7');
const net = require('net');

const app = hl7.tcp();
app.use((req, res, next) => {
  const timing = req.msg.getSegment('TQ1');
  console.log(req.event, req.msg.header.getField(8), timing ? timing.getField(9) : '-');
  res.end();
});
const probe = net.createServer().listen(0, '127.0.0.1', () => {
  const { port } = probe.address();
  probe.close(() => {
    app.start(port);
    setTimeout(() => console.log(port), 200);
  });
});
